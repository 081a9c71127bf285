//! An expression as it runs: the parsed tree, and how a row answers for its names.

use std::sync::{Arc, LazyLock};

use cel::{
    Context, Env, IdedExpr, Value,
    common::{
        types::{CelBool, CelDouble, CelInt},
        value::CowVal,
    },
    context::VariableResolver,
};
use thiserror::Error;

use super::feature::{FEATURES, Kind, Row, feature};

/// An expression that could not be evaluated for a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the expression has no value here: {0}")]
pub struct Failed(pub String);

/// What an expression says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    Bool(bool),
    Number(f64),
}

/// A row as the interpreter sees it.
struct Names<'a>(&'a Row);

impl VariableResolver for Names<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let at = feature(variable)?;
        let value = self.0.value(at);
        Some(match FEATURES[at].kind {
            Kind::Bool => CowVal::owned(CelBool::from(value != 0.0)),
            Kind::Int => CowVal::owned(CelInt::from(value as i64)),
            Kind::Double | Kind::String => CowVal::owned(CelDouble::from(value)),
        })
    }
}

/// The operators and functions of CEL; made once, because making them costs more than evaluating.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Evaluates an expression that the checker passed.
pub(super) fn evaluate(expression: &IdedExpr, row: &Row) -> Result<Answer, Failed> {
    let names = Names(row);
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.set_variable_resolver(&names);
    match Value::resolve(expression, &context) {
        Ok(Value::Bool(holds)) => Ok(Answer::Bool(holds)),
        Ok(Value::Int(number)) => Ok(Answer::Number(number as f64)),
        Ok(Value::Float(number)) if !number.is_nan() => Ok(Answer::Number(number)),
        Ok(other) => Err(Failed(format!("it is {other:?}"))),
        Err(error) => Err(Failed(error.to_string())),
    }
}
