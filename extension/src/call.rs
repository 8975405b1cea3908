//! How a C function is called from SQL: the macro that defines one, texts and rows, notices to the client.

use std::ffi::CStr;

use pgrx::fcinfo::{pg_arg_is_null, pg_getarg_datum};
use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// Defines a function under the C symbol `$symbol`, with the `pg_finfo_` record that tells the server its calling convention.
/// `$body` gets the call's arguments and returns a value that becomes a datum, or `None` for NULL.
macro_rules! sql_function {
    ($(#[$comment:meta])* $symbol:ident, $body:expr) => {
        $(#[$comment])*
        #[pgrx::pg_guard]
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $symbol(call: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            let body: fn(pgrx::pg_sys::FunctionCallInfo) -> Option<pgrx::pg_sys::Datum> = $body;
            // SAFETY: the server passes a valid call structure, for the duration of the call.
            body(call).unwrap_or_else(|| unsafe { pgrx::fcinfo::pg_return_null(call) })
        }

        const _: () = {
            #[unsafe(export_name = concat!("pg_finfo_", stringify!($symbol)))]
            extern "C" fn version_one() -> *const pgrx::pg_sys::Pg_finfo_record {
                static RECORD: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
                &RECORD
            }
        };
    };
}

pub(crate) use sql_function;

/// The text argument at `position` in the database's encoding, `None` if NULL. It lives until the end of the call.
///
/// Only for functions that are declared with a text at this position.
pub fn text_argument<'call>(call: FunctionCallInfo, position: usize) -> Option<&'call [u8]> {
    // SAFETY: the function is declared with a text at this position. The copy that text_to_cstring makes belongs to the
    // memory context of the call.
    unsafe {
        if pg_arg_is_null(call, position) {
            return None;
        }
        let text: &'call CStr =
            CStr::from_ptr(pg_sys::text_to_cstring(pg_getarg_datum(call, position)?.cast_mut_ptr()));
        Some(text.to_bytes())
    }
}

/// A text value in the current memory context, from bytes in the database's encoding.
pub fn text(bytes: &[u8]) -> Datum {
    // SAFETY: pointer and length belong together; what this library makes is far shorter than an int can say.
    Datum::from(unsafe { pg_sys::cstring_to_text_with_len(bytes.as_ptr().cast(), bytes.len() as i32) })
}

/// The row that a function which is declared with OUT parameters returns; NULL where a value is `None`.
///
/// Raises a server error if the declaration has another number of columns.
pub fn row(call: FunctionCallInfo, values: &[Option<Datum>]) -> Datum {
    let mut columns: Vec<Datum> = values.iter().map(|value| value.unwrap_or(Datum::from(0))).collect();
    let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
    // SAFETY: the server fills the descriptor in if it says that the type is a row's; the two arrays have as many
    // elements as the descriptor has columns.
    unsafe {
        let mut descriptor: pg_sys::TupleDesc = std::ptr::null_mut();
        let kind = pg_sys::get_call_result_type(call, std::ptr::null_mut(), &mut descriptor);
        if kind != pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE || (*descriptor).natts as usize != values.len() {
            raise(
                PgSqlErrorCode::ERRCODE_INVALID_FUNCTION_DEFINITION,
                format!("the function must be declared with {} result columns", values.len()),
                "The library and the SQL script of the extension are of different versions.",
                "Update the extension.",
            );
        }
        let descriptor = pg_sys::BlessTupleDesc(descriptor);
        let tuple = pg_sys::heap_form_tuple(descriptor, columns.as_mut_ptr(), nulls.as_mut_ptr());
        pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data)
    }
}

/// Raises a server error; an empty detail or hint is left out.
pub fn raise(code: PgSqlErrorCode, message: String, detail: &str, hint: &str) -> ! {
    let mut report = pg_sys::panic::ErrorReport::new(code, message, "");
    if !detail.is_empty() {
        report = report.set_detail(detail);
    }
    if !hint.is_empty() {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("an error was raised")
}

/// Sends a notice of level INFO to the client, whatever its settings.
pub fn inform(message: String) {
    report(PgLogLevel::INFO, PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message);
}

/// Sends a warning.
pub fn warn(message: String) {
    report(PgLogLevel::WARNING, PgSqlErrorCode::ERRCODE_WARNING, message);
}

fn report(level: PgLogLevel, code: PgSqlErrorCode, message: String) {
    pgrx::pg_sys::panic::ErrorReport::new(code, message, "").report(level);
}
