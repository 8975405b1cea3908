//! Values that name their own SQL type.
//!
//! A query whose parameters have types goes to the server in one message and
//! takes one round trip. Without them the server has to be asked for the types
//! first.

use tokio_postgres::types::{ToSql, Type};

use crate::types::Lsn;

/// A parameter of a query, with the type that it has there.
pub trait Parameter: ToSql + Sync {
    /// The type of a value of this kind.
    fn sql_type(&self) -> Type;
}

macro_rules! parameters {
    ($($rust:ty => $sql:ident),+ $(,)?) => {
        $(
            impl Parameter for $rust {
                fn sql_type(&self) -> Type {
                    Type::$sql
                }
            }

            impl Parameter for Option<$rust> {
                fn sql_type(&self) -> Type {
                    Type::$sql
                }
            }
        )+
    };
}

parameters! {
    bool => BOOL,
    i32 => INT4,
    i64 => INT8,
    f64 => FLOAT8,
    &str => TEXT,
    String => TEXT,
    Lsn => PG_LSN,
}

/// As the driver takes them.
pub(super) fn typed<'a>(parameters: &[&'a (dyn Parameter + 'a)]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    parameters
        .iter()
        .map(|parameter| (*parameter as &(dyn ToSql + Sync), parameter.sql_type()))
        .collect()
}
