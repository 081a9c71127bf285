//! Finding elements of a tree by name, and saying where something is wrong.

use super::{Element, Node};
use crate::error::{FileError, Problem, excerpt};

impl<'t> Element<'t> {
    fn node(self) -> &'t Node<'t> {
        &self.tree.nodes[self.at]
    }

    /// Its local name.
    pub(crate) fn name(self) -> &'t str {
        self.node().name
    }

    /// The line of its start tag.
    pub(crate) fn line(self) -> u32 {
        self.node().line
    }

    /// The names from below the root to it: `BkToCstmrStmt/Stmt/Ntry`.
    pub(crate) fn path(self) -> String {
        let mut names = vec![self.name()];
        let mut at = self.node().parent;
        while let Some(parent) = at {
            names.push(self.tree.nodes[parent].name);
            at = self.tree.nodes[parent].parent;
        }
        if names.len() > 1 {
            names.pop();
        }
        names.reverse();
        names.join("/")
    }

    /// A problem with this element.
    pub(crate) fn error(self, problem: Problem) -> FileError {
        problem.at(self.path(), self.line())
    }

    /// A problem with the value of this element.
    pub(crate) fn value_error(self, found: &str, expected: &'static str) -> FileError {
        self.error(Problem::Value {
            found: excerpt(found),
            expected,
        })
    }

    /// All elements in it.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        let tree = self.tree;
        std::iter::successors(self.node().first_child, move |at| tree.nodes[*at].next)
            .map(move |at| Self { tree, at })
    }

    /// The elements in it of one name.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = Self> {
        self.elements().filter(move |child| child.name() == name)
    }

    /// The one element of that name in it; two of them are an error.
    pub(crate) fn find(self, name: &str) -> Result<Option<Self>, FileError> {
        let mut found = self.all(name);
        let first = found.next();
        match found.next() {
            Some(second) => Err(second.error(Problem::Repeated)),
            None => Ok(first),
        }
    }

    /// The element at the end of a path of single elements.
    pub(crate) fn walk(self, path: &[&str]) -> Result<Option<Self>, FileError> {
        let mut at = self;
        for name in path {
            match at.find(name)? {
                Some(child) => at = child,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The one element of that name in it; none is an error.
    pub(crate) fn need(self, name: &str) -> Result<Self, FileError> {
        self.find(name)?
            .ok_or_else(|| Problem::Missing.at(format!("{}/{name}", self.path()), self.line()))
    }

    /// At least one element of that name in it.
    pub(crate) fn need_any(self, name: &str) -> Result<(), FileError> {
        match self.all(name).next() {
            Some(_) => Ok(()),
            None => Err(Problem::Missing.at(format!("{}/{name}", self.path()), self.line())),
        }
    }

    /// Its text without the white space around it; an element that has elements or no text is an error.
    pub(crate) fn text(self) -> Result<&'t str, FileError> {
        let text = self.node().text.trim_matches([' ', '\t', '\r', '\n']);
        if self.node().first_child.is_some() {
            Err(self.value_error("elements", "text"))
        } else if text.is_empty() {
            Err(self.value_error("", "a value"))
        } else {
            Ok(text)
        }
    }

    /// The text at the end of a path.
    pub(crate) fn text_at(self, path: &[&str]) -> Result<Option<&'t str>, FileError> {
        self.walk(path)?.map(Self::text).transpose()
    }

    /// An attribute's value.
    pub(crate) fn attribute(self, name: &str) -> Option<&'t str> {
        let attributes = &self.node().attributes;
        let found = attributes.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.as_str())
    }
}
