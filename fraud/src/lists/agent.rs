//! Does a user agent declare a program, or is it one of a person?
//!
//! The community's list knows single robots. Beyond it: whoever names what he does (crawl, fetch, check), leaves an address,
//! drives a browser or speaks through a library is a program, and so is a text that looks like no program of people. In-app
//! browsers are people; the previews that the same apps fetch are not. It judges what a text *declares*: a robot that copies a
//! browser's text is the statistics' business.
//!
//! Costs: some tens of milliseconds to build, some tens of microseconds a text; a caller keeps the answer by the agent's token.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Serialize;

use super::agent_rules::{ANYWHERE, AUTOMATION, CONTACT, INNOCENT, LIBRARY, PERSON, WORD};
use super::text::{ListError, Provenance, parse};

/// The list that comes with the program.
const VENDORED: &str = include_str!("../../data/crawlers.txt");

/// Most memory that a compiled list may take.
const LIMIT_BYTES: usize = 64 << 20;

/// Longest text that is looked at; what is behind it changes nothing. Longer ones are not sent by browsers.
const LONGEST: usize = 2_048;

/// What a user agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "class")]
pub enum AgentClass {
    /// A program that a person looks at: browser, in-app browser, app.
    Person,
    /// A program that says so, and why it is taken for one.
    DeclaredBot(Evidence),
}

/// Why a user agent is taken for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Which rule.
    pub rule: AgentRule,
    /// The part of the text that it found, or the list's pattern; empty where something is missing.
    pub found: String,
}

/// The rules, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentRule {
    /// No user agent at all: every browser sends one.
    Missing,
    /// On the list.
    Listed,
    /// It names what a robot does.
    Word,
    /// It leaves an address of whoever runs it.
    Contact,
    /// It drives a browser.
    Automation,
    /// It speaks through a library.
    Library,
    /// It looks like no program of people.
    NoBrowser,
}

impl AgentRule {
    /// Its name in figures and files.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "MISSING",
            Self::Listed => "LISTED",
            Self::Word => "WORD",
            Self::Contact => "CONTACT",
            Self::Automation => "AUTOMATION",
            Self::Library => "LIBRARY",
            Self::NoBrowser => "NO_BROWSER",
        }
    }
}

/// The classifier.
#[derive(Debug)]
pub struct UserAgents {
    from: Provenance,
    // Plain names of the list: one search for all of them.
    names: Option<Regex>,
    // Its other patterns.
    list: RegexSet,
    innocent: Regex,
    anywhere: Regex,
    rules: [(AgentRule, Regex); 4],
    person: Regex,
}

impl UserAgents {
    /// With another list: one regular expression a line.
    ///
    /// # Errors
    /// [`ListError`]: no entry, an entry that is no regular expression, or too much of them.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let (from, entries) = parse(text);
        if entries.is_empty() {
            return Err(ListError::Empty);
        }
        let mut names: Vec<String> = Vec::new();
        let mut patterns: Vec<&str> = Vec::new();
        for (_, pattern) in &entries {
            match plain(pattern) {
                Some(name) => names.push(regex::escape(&name)),
                None => patterns.push(pattern),
            }
        }
        let list = RegexSetBuilder::new(patterns)
            .size_limit(LIMIT_BYTES)
            .build()
            .map_err(|error| blame(&entries, &error))?;
        let rule = |pattern: &str| {
            RegexBuilder::new(pattern)
                .size_limit(LIMIT_BYTES)
                .build()
                .map_err(|error| ListError::TooLarge {
                    reason: error.to_string(),
                })
        };
        Ok(Self {
            from,
            names: (!names.is_empty())
                .then(|| rule(&names.join("|")))
                .transpose()?,
            list,
            innocent: rule(INNOCENT)?,
            anywhere: rule(ANYWHERE)?,
            rules: [
                (AgentRule::Word, rule(WORD)?),
                (AgentRule::Contact, rule(CONTACT)?),
                (AgentRule::Automation, rule(AUTOMATION)?),
                (AgentRule::Library, rule(LIBRARY)?),
            ],
            person: rule(PERSON)?,
        })
    }

    /// With the list that comes with the program.
    ///
    /// # Errors
    /// Never, as a test shows.
    pub fn vendored() -> Result<Self, ListError> {
        Self::parse(VENDORED)
    }

    /// Where the list is from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.from
    }

    /// What the user agent is; without one it is a program.
    #[must_use]
    pub fn classify(&self, user_agent: &str) -> AgentClass {
        let text = cut(user_agent.trim());
        let bot = |rule, found: &str| {
            AgentClass::DeclaredBot(Evidence {
                rule,
                found: found.to_owned(),
            })
        };
        if text.len() < 2 {
            return bot(AgentRule::Missing, "");
        }
        if let Some(found) = self.anywhere.find(text) {
            return bot(AgentRule::Word, found.as_str());
        }
        let rest: Cow<'_, str> = self.innocent.replace_all(text, " ");
        if let Some(found) = self.names.as_ref().and_then(|names| names.find(&rest)) {
            return bot(AgentRule::Listed, found.as_str());
        }
        if self.list.is_match(&rest) {
            let first = self.list.matches(&rest).iter().next();
            let pattern = first.and_then(|at| self.list.patterns().get(at));
            return bot(AgentRule::Listed, pattern.map_or("", String::as_str));
        }
        for (rule, pattern) in &self.rules {
            if let Some(found) = pattern.find(&rest) {
                return bot(*rule, found.as_str().trim());
            }
        }
        // Asked of the whole text: the part that means nothing for robots may be what shows a telephone.
        if self.person.is_match(text) {
            AgentClass::Person
        } else {
            bot(AgentRule::NoBrowser, "")
        }
    }
}

/// The text that a pattern finds, where it finds only one.
fn plain(pattern: &str) -> Option<String> {
    let mut name = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => name.push(chars.next().filter(char::is_ascii_punctuation)?),
            '^' | '$' | '[' | ']' | '(' | ')' | '.' | '*' | '+' | '?' | '{' | '}' | '|' => {
                return None;
            }
            _ => name.push(c),
        }
    }
    Some(name)
}

/// The entry that is no regular expression; where each is one alone, together they are too large.
fn blame(entries: &[(usize, &str)], error: &regex::Error) -> ListError {
    entries
        .iter()
        .find_map(|(line, pattern)| {
            Regex::new(pattern).err().map(|_| ListError::Entry {
                line: *line,
                reason: format!("`{pattern}` is no regular expression"),
            })
        })
        .unwrap_or_else(|| ListError::TooLarge {
            reason: error.to_string(),
        })
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests;
