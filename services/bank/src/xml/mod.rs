//! Reads XML into a small tree, strictly: well-formed to the end, one namespace, no document type, bounded in size, depth and
//! attributes. Elements are found by their local name, whatever prefix or version the bank uses; every element knows its line.
//!
//! Costs one pass and memory in the order of the file's size. Nothing is fetched and nothing but XML's own five entities and
//! character references is expanded.

mod builder;
mod decode;
mod element;

use std::borrow::Cow;

pub(crate) use decode::decode;

use crate::error::FileError;

/// How much a bank file may ask of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file. Default 32 MiB.
    pub bytes: usize,
    /// XML elements, or CSV rows. Default 2 million.
    pub elements: usize,
    /// Levels of XML elements. Default 64; the messages need about 15.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            elements: 2_000_000,
            depth: 64,
        }
    }
}

#[derive(Debug)]
struct Node<'i> {
    name: &'i str,
    line: u32,
    parent: Option<usize>,
    first_child: Option<usize>,
    next: Option<usize>,
    text: Cow<'i, str>,
    attributes: Attributes<'i>,
}

/// Names and values of the attributes that messages have.
type Attributes<'i> = Vec<(&'i str, String)>;

/// A document that was read to its end.
#[derive(Debug)]
pub(crate) struct Tree<'i> {
    nodes: Vec<Node<'i>>,
    namespace: Option<String>,
}

/// An element of a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'t> {
    tree: &'t Tree<'t>,
    at: usize,
}

impl<'i> Tree<'i> {
    /// Reads the whole text, or says what is wrong with it.
    pub(crate) fn parse(text: &'i str, limits: &Limits) -> Result<Self, FileError> {
        builder::Builder::new(text, limits)?.read()
    }

    /// The namespace of the root.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The root element.
    pub(crate) fn root(&self) -> Element<'_> {
        Element { tree: self, at: 0 }
    }
}

fn line_of(before: &[u8]) -> u32 {
    let breaks = before.iter().filter(|b| **b == b'\n').count();
    u32::try_from(breaks + 1).unwrap_or(u32::MAX)
}
