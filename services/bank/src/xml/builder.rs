//! One strict pass over the text that makes the tree.

use std::borrow::Cow;

use quick_xml::{
    Error as XmlError, NsReader, XmlVersion,
    errors::IllFormedError,
    events::{BytesRef, BytesStart, Event},
    name::ResolveResult,
};

use super::{Attributes, Limits, Node, Tree, line_of};
use crate::error::{FileError, Problem, excerpt};

/// Attributes of one element, namespace declarations included.
const MAX_ATTRIBUTES: usize = 32;
/// Namespace declarations in scope at once.
const MAX_NAMESPACES: usize = 64;
/// What may hold elements of any namespace; nothing in it is read.
const EXTENSION: &str = "SplmtryData";

/// What XML 1.0 allows as a character.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn is_name(name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '\u{b7}');
    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | ':'))
        && name.chars().all(part)
}

pub(super) struct Builder<'i, 'l> {
    text: &'i str,
    limits: &'l Limits,
    nodes: Vec<Node<'i>>,
    namespace: Option<String>,
    open: Vec<Open>,
    /// Namespace declarations of the open elements.
    declared: usize,
    line: u32,
    /// How far lines are counted.
    counted: usize,
}

struct Open {
    node: usize,
    last_child: Option<usize>,
    declared: usize,
    /// Inside of an extension.
    any_namespace: bool,
}

impl<'i, 'l> Builder<'i, 'l> {
    pub(super) fn new(text: &'i str, limits: &'l Limits) -> Result<Self, FileError> {
        if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_xml_char(*c)) {
            return Err(Problem::NotWellFormed {
                reason: format!("the character U+{:04X}", u32::from(c)),
            }
            .on_line(line_of(&text.as_bytes()[..at])));
        }
        Ok(Self {
            text,
            limits,
            nodes: Vec::new(),
            namespace: None,
            open: Vec::new(),
            declared: 0,
            line: 1,
            counted: 0,
        })
    }

    pub(super) fn read(mut self) -> Result<Tree<'i>, FileError> {
        let mut reader = NsReader::from_str(self.text);
        reader.config_mut().enable_all_checks(true);
        loop {
            let start = position(&reader);
            self.count_lines(start);
            let event = reader.read_event().map_err(|error| self.refusal(&error))?;
            match event {
                Event::Start(tag) => self.open(&tag, &reader, start)?,
                Event::Empty(tag) => {
                    self.open(&tag, &reader, start)?;
                    self.close();
                }
                Event::End(_) => self.close(),
                Event::Text(text) => self.append(start, position(&reader), text.into_inner())?,
                Event::CData(data) => {
                    let data = data.into_inner().into_owned();
                    self.append_owned(&data)?;
                }
                Event::GeneralRef(reference) => {
                    let c = self.character(&reference)?;
                    self.append_owned(c.encode_utf8(&mut [0; 4]))?;
                }
                Event::DocType(_) => return Err(Problem::Doctype.on_line(self.line)),
                Event::Decl(_) if start > 0 => {
                    return Err(self.malformed("an XML declaration that is not at the beginning"));
                }
                Event::Decl(declaration) => {
                    let version = declaration.xml_version().map_err(|e| self.refusal(&e))?;
                    if version == XmlVersion::Explicit1_1 {
                        return Err(self.malformed("XML 1.1; bank messages are XML 1.0"));
                    }
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => return self.end(),
            }
        }
    }

    fn open(
        &mut self,
        tag: &BytesStart<'_>,
        reader: &NsReader<&'i [u8]>,
        start: usize,
    ) -> Result<(), FileError> {
        if self.open.is_empty() && !self.nodes.is_empty() {
            return Err(self.malformed("a second root element"));
        }
        self.bounded(self.nodes.len(), self.limits.elements, "elements")?;
        self.bounded(self.open.len(), self.limits.depth, "levels of elements")?;
        let qualified = tag.name().0.len();
        let name = self.slice(start + 1, start + 1 + qualified);
        if !is_name(name) {
            return Err(self.malformed(&format!("an element named {:?}", excerpt(name))));
        }
        let any_namespace = self.open.last().is_some_and(|open| open.any_namespace);
        let (namespace, local) = reader.resolver().resolve_element(tag.name());
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => Some(namespace.0),
            ResolveResult::Unbound => None,
            ResolveResult::Unknown(prefix) => {
                return Err(self.malformed(&format!("no namespace for {:?}", excerpt(&prefix))));
            }
        };
        let local = self.slice(
            start + 1 + qualified - local.as_ref().len(),
            start + 1 + qualified,
        );
        if self.nodes.is_empty() {
            self.namespace = namespace.map(str::to_owned);
        } else if !any_namespace && namespace != self.namespace.as_deref() {
            let namespace = namespace.unwrap_or("none");
            return Err(Problem::ForeignElement {
                namespace: excerpt(namespace),
            }
            .at(local, self.line));
        }
        let (attributes, declared) = self.attributes(tag)?;
        self.declared += declared;
        self.bounded(self.declared, MAX_NAMESPACES, "namespace declarations")?;

        let at = self.nodes.len();
        let parent = self.open.last_mut().map(|open| {
            let before = open.last_child.replace(at);
            (open.node, before)
        });
        match parent {
            Some((_, Some(before))) => self.nodes[before].next = Some(at),
            Some((node, None)) => self.nodes[node].first_child = Some(at),
            None => {}
        }
        self.nodes.push(Node {
            name: local,
            line: self.line,
            parent: parent.map(|(node, _)| node),
            first_child: None,
            next: None,
            text: Cow::Borrowed(""),
            attributes,
        });
        self.open.push(Open {
            node: at,
            last_child: None,
            declared,
            any_namespace: any_namespace || local == EXTENSION,
        });
        Ok(())
    }

    /// The attributes that are no namespace declarations, and the number of those that are.
    fn attributes(&self, tag: &BytesStart<'_>) -> Result<(Attributes<'i>, usize), FileError> {
        let mut found = Vec::new();
        let mut declared = 0;
        for (number, attribute) in tag.attributes().enumerate() {
            self.bounded(number, MAX_ATTRIBUTES, "attributes of an element")?;
            let attribute = attribute.map_err(|error| self.malformed(&error.to_string()))?;
            if attribute.key.as_namespace_binding().is_some() {
                declared += 1;
            } else if attribute.key.0 == "Ccy" {
                let value = attribute
                    .normalized_value(XmlVersion::Explicit1_0)
                    .map_err(|error| self.refusal(&error))?;
                found.push(("Ccy", value.into_owned()));
            }
        }
        Ok((found, declared))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.declared -= open.declared;
        }
    }

    fn append(&mut self, start: usize, end: usize, text: Cow<'_, str>) -> Result<(), FileError> {
        if is_blank(&text) {
            return Ok(());
        }
        let slice = self.slice(start, end);
        match self.open.last() {
            Some(open) if self.nodes[open.node].text.is_empty() && *slice == *text => {
                self.nodes[open.node].text = Cow::Borrowed(slice);
                Ok(())
            }
            _ => self.append_owned(&text),
        }
    }

    fn append_owned(&mut self, text: &str) -> Result<(), FileError> {
        match self.open.last() {
            Some(open) => {
                self.nodes[open.node].text.to_mut().push_str(text);
                Ok(())
            }
            None => Err(self.malformed("text outside of the root element")),
        }
    }

    /// The character of `&amp;`, `&#38;` and the like; every other entity is refused.
    fn character(&self, reference: &BytesRef<'_>) -> Result<char, FileError> {
        match &**reference {
            "amp" => Ok('&'),
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "quot" => Ok('"'),
            "apos" => Ok('\''),
            name => match reference.resolve_char_ref() {
                Ok(Some(c)) if is_xml_char(c) => Ok(c),
                _ => Err(Problem::Entity {
                    name: excerpt(name),
                }
                .on_line(self.line)),
            },
        }
    }

    fn end(self) -> Result<Tree<'i>, FileError> {
        if let Some(open) = self.open.last() {
            return Err(Problem::Truncated {
                open: self.nodes[open.node].name.to_owned(),
            }
            .on_line(self.line));
        }
        if self.nodes.is_empty() {
            return Err(Problem::Empty.whole_file());
        }
        Ok(Tree {
            nodes: self.nodes,
            namespace: self.namespace,
        })
    }

    fn slice(&self, start: usize, end: usize) -> &'i str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn count_lines(&mut self, to: usize) {
        let passed = self
            .text
            .as_bytes()
            .get(self.counted..to)
            .unwrap_or_default();
        self.line = self.line.saturating_add(line_of(passed) - 1);
        self.counted = to;
    }

    fn bounded(&self, number: usize, limit: usize, what: &'static str) -> Result<(), FileError> {
        if number < limit {
            Ok(())
        } else {
            Err(Problem::TooMany { what, limit }.on_line(self.line))
        }
    }

    fn malformed(&self, reason: &str) -> FileError {
        Problem::NotWellFormed {
            reason: reason.to_owned(),
        }
        .on_line(self.line)
    }

    fn refusal(&self, error: &XmlError) -> FileError {
        match error {
            // Every syntax error of the parser is an input that ends inside of some markup.
            XmlError::Syntax(_) => Problem::Truncated {
                open: match self.open.last() {
                    Some(open) => self.nodes[open.node].name.to_owned(),
                    None => "the document".to_owned(),
                },
            }
            .on_line(self.line),
            XmlError::IllFormed(IllFormedError::UnclosedReference) => {
                self.malformed("& without an entity behind it")
            }
            other => self.malformed(&excerpt(&other.to_string())),
        }
    }
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}
