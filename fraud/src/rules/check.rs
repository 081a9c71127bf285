//! The checker: every part of an expression has a type before anything runs, and the whole has a bound on its cost.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, SourceInfo, operators},
    parser::{ParseErrors, Parser},
};
use serde::{Deserialize, Serialize};

use super::{
    feature::{FEATURES, Kind, feature},
    rule::RuleError,
};

/// Longest expression, in bytes.
pub const MOST_TEXT: usize = 2_000;
/// Most nodes of an expression: each is looked at once at most when it runs.
pub const MOST_NODES: u32 = 200;
/// How deep an expression may be nested.
pub const MOST_DEPTH: u32 = 32;

/// What an expression costs: its bound at running, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Nodes of the tree.
    pub nodes: u32,
    /// How deep it is.
    pub depth: u32,
}

/// Where something stands in an expression; both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// An expression that passed.
pub(super) struct Checked {
    pub(super) expression: IdedExpr,
    pub(super) kind: Kind,
    pub(super) cost: Cost,
}

/// A type; of lists only literals are, and only behind `in`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    One(Kind),
    List(Kind),
}

impl Type {
    fn name(self) -> String {
        match self {
            Self::One(kind) => kind.name().to_owned(),
            Self::List(kind) => format!("list of {}", kind.name()),
        }
    }
}

/// Parses and checks an expression.
pub(super) fn check(text: &str) -> Result<Checked, RuleError> {
    if text.len() > MOST_TEXT {
        return Err(RuleError::TooLong { bytes: text.len() });
    }
    let (expression, source) = Parser::new()
        .parse_with_source_info(text)
        .map_err(|errors| syntax(&errors))?;
    let mut checker = Checker {
        source,
        cost: Cost::default(),
    };
    let kind = match checker.of(&expression, 1)? {
        Type::One(kind) => kind,
        Type::List(_) => {
            return Err(checker.refuse(&expression, "it is a list, not true, false or a number"));
        }
    };
    if kind == Kind::String {
        return Err(checker.refuse(&expression, "it is a text, not true, false or a number"));
    }
    Ok(Checked {
        expression,
        kind,
        cost: checker.cost,
    })
}

fn syntax(errors: &ParseErrors) -> RuleError {
    let first = errors.errors.first();
    let number = |of: isize| u32::try_from(of.max(1)).unwrap_or(u32::MAX);
    RuleError::Syntax {
        place: Place {
            line: first.map_or(1, |error| number(error.pos.0)),
            column: first.map_or(1, |error| number(error.pos.1)),
        },
        reason: first.map_or_else(String::new, |error| error.msg.clone()),
    }
}

struct Checker {
    source: SourceInfo,
    cost: Cost,
}

impl Checker {
    fn place(&self, of: &IdedExpr) -> Place {
        let offset = self
            .source
            .offset_for(of.id)
            .map_or(0, |(start, _)| start as usize);
        let mut place = Place { line: 1, column: 1 };
        for c in self.source.source.chars().take(offset) {
            if c == '\n' {
                place.line += 1;
                place.column = 1;
            } else {
                place.column += 1;
            }
        }
        place
    }

    fn refuse(&self, at: &IdedExpr, reason: impl Into<String>) -> RuleError {
        RuleError::Type {
            place: self.place(at),
            reason: reason.into(),
        }
    }

    fn of(&mut self, expression: &IdedExpr, depth: u32) -> Result<Type, RuleError> {
        self.cost.nodes += 1;
        self.cost.depth = self.cost.depth.max(depth);
        if self.cost.nodes > MOST_NODES || depth > MOST_DEPTH {
            return Err(RuleError::TooCostly);
        }
        let one = |kind| Ok(Type::One(kind));
        match &expression.expr {
            Expr::Literal(LiteralValue::Boolean(_)) => one(Kind::Bool),
            Expr::Literal(LiteralValue::Int(_)) => one(Kind::Int),
            Expr::Literal(LiteralValue::Double(_)) => one(Kind::Double),
            Expr::Literal(LiteralValue::String(_)) => one(Kind::String),
            Expr::Literal(_) => Err(self.refuse(
                expression,
                "this kind of literal means nothing here; features are bool, int and double",
            )),
            Expr::Ident(name) => match feature(name) {
                Some(at) => one(FEATURES[at].kind),
                None => Err(RuleError::UnknownFeature {
                    place: self.place(expression),
                    name: name.clone(),
                    nearest: nearest(name),
                }),
            },
            Expr::Call(call) => self.call(expression, call, depth),
            Expr::List(list) => {
                let mut kinds = Vec::with_capacity(list.elements.len());
                for element in &list.elements {
                    match self.of(element, depth + 1)? {
                        Type::One(kind) => kinds.push(kind),
                        Type::List(_) => {
                            return Err(self.refuse(element, "a list in a list is never equal to a feature"));
                        }
                    }
                }
                let first = *kinds
                    .first()
                    .ok_or_else(|| self.refuse(expression, "the list is empty"))?;
                match kinds.iter().position(|kind| *kind != first) {
                    Some(at) => Err(self.refuse(
                        &list.elements[at],
                        format!(
                            "a list of {} has no {}",
                            first.name(),
                            kinds[at].name()
                        ),
                    )),
                    None => Ok(Type::List(first)),
                }
            }
            Expr::Comprehension(_) => Err(self.refuse(
                expression,
                "`all`, `exists`, `map` and `filter` have no bound on their cost; features are no lists",
            )),
            Expr::Select(select) => Err(self.refuse(
                expression,
                format!("features have no fields; there is no `.{}`", select.field),
            )),
            Expr::Map(_) | Expr::Struct(_) => {
                Err(self.refuse(expression, "maps and messages mean nothing here"))
            }
            Expr::Unspecified => Err(self.refuse(expression, "there is no expression")),
        }
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr, depth: u32) -> Result<Type, RuleError> {
        if call.target.is_some() || !is_known(&call.func_name, call.args.len()) {
            return Err(RuleError::UnknownFunction {
                place: self.place(at),
                name: shown(&call.func_name).to_owned(),
                arguments: call.args.len(),
            });
        }
        let mut types = Vec::with_capacity(call.args.len());
        for argument in &call.args {
            types.push(self.of(argument, depth + 1)?);
        }
        resulting(&call.func_name, &types).ok_or_else(|| {
            let of: Vec<String> = types.iter().map(|of| of.name()).collect();
            let mixed = of.contains(&"int".to_owned()) && of.contains(&"double".to_owned());
            let hint = if mixed {
                "; write whole numbers beside a double with a point (2.0), or double(...)"
            } else {
                ""
            };
            self.refuse(
                at,
                format!(
                    "`{}` does not take {}{hint}",
                    shown(&call.func_name),
                    of.join(" and "),
                ),
            )
        })
    }
}

fn is_known(name: &str, arguments: usize) -> bool {
    use operators as op;
    match arguments {
        1 => [op::LOGICAL_NOT, op::NEGATE, "double", "int"].contains(&name),
        2 => [
            op::LOGICAL_AND,
            op::LOGICAL_OR,
            op::EQUALS,
            op::NOT_EQUALS,
            op::LESS,
            op::LESS_EQUALS,
            op::GREATER,
            op::GREATER_EQUALS,
            op::ADD,
            op::SUBSTRACT,
            op::MULTIPLY,
            op::DIVIDE,
            op::MODULO,
            op::IN,
        ]
        .contains(&name),
        3 => name == op::CONDITIONAL,
        _ => false,
    }
}

/// The type of a call that [`is_known`]; `None` where it takes no such arguments.
fn resulting(name: &str, types: &[Type]) -> Option<Type> {
    use Kind::{Bool, Double, Int, String};
    use operators as op;
    let numbers = |a: Kind, b: Kind| [Int, Double].contains(&a) && [Int, Double].contains(&b);
    let kind = match *types {
        [Type::One(Bool)] if name == op::LOGICAL_NOT => Bool,
        [Type::One(of @ (Int | Double))] if name == op::NEGATE => of,
        [Type::One(Int | Double)] if name == "double" => Double,
        [Type::One(Int | Double)] if name == "int" => Int,
        [Type::One(a), Type::One(b)] => match name {
            op::LOGICAL_AND | op::LOGICAL_OR if (a, b) == (Bool, Bool) => Bool,
            op::EQUALS | op::NOT_EQUALS if a == b || numbers(a, b) => Bool,
            op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS
                if numbers(a, b) || (a, b) == (String, String) =>
            {
                Bool
            }
            op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE if a == b && numbers(a, b) => a,
            op::MODULO if (a, b) == (Int, Int) => Int,
            _ => return None,
        },
        [Type::One(a), Type::List(b)] if name == op::IN && a == b => Bool,
        [Type::One(Bool), Type::One(a), Type::One(b)] if a == b => a,
        _ => return None,
    };
    Some(Type::One(kind))
}

/// An operator as it is written.
fn shown(name: &str) -> &str {
    match name {
        operators::CONDITIONAL => "? :",
        operators::IN => "in",
        operators::INDEX => "[]",
        _ if name.contains('_') && !name.chars().any(char::is_alphanumeric) => {
            name.trim_matches('_')
        }
        _ => name,
    }
}

/// The feature whose name is nearest, by edits.
fn nearest(name: &str) -> &'static str {
    FEATURES
        .iter()
        .map(|feature| feature.name)
        .min_by_key(|known| edits(name, known))
        .unwrap_or("")
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut last = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let other = last + usize::from(x != *y);
            last = row[j + 1];
            row[j + 1] = other.min(row[j] + 1).min(last + 1);
        }
    }
    row[b.len()]
}
