//! The C functions behind the SQL functions of the extension `repmgr_write_right`.
//!
//! No table is read or written: they work on a standby, and in a server that may not write.

use pgrx::fcinfo::{pg_getarg, pg_return_void};
use pgrx::pg_sys::{Datum, FunctionCallInfo};
use pgrx::{IntoDatum, PgSqlErrorCode};
use repmgr_write_right::{Ballot, LONGEST_LEASE, NotExtended};

use super::enforcement;
use super::shared::{self, MOST_NODES, Order};
use super::voter::{self, Failure};
use crate::call::{raise, row, sql_function, text, text_argument};
use crate::state;

sql_function! {
    /// Moves the end of the local right forward to a time of CLOCK_BOOTTIME in milliseconds, and returns the end that counts now:
    /// the later of the new and the old one. `server` is what `status` said when the caller began; `ballot` is the one that
    /// the right was granted under.
    ///
    /// Refused where it would enforce nothing, since the library is not preloaded (55000), for a server that has started
    /// again since (55000), under a ballot that `lapse` ended (55000), and for an end further ahead than the longest lease
    /// (22023). NULL changes nothing.
    repmgr_write_right_hold_until, |call| {
        let (until, server, ballot) = (number(call, 0)?, number(call, 1)?, ballot(call, 2)?);
        let over = PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
        if !enforcement::is_loaded() {
            let hint = "Add \"repmgr\" to shared_preload_libraries and restart the server.";
            raise(over, "the right to write is not enforced by this server".into(), "", hint);
        }
        match shared::extend(until, ballot, server) {
            Ok(until) => Some(bigint(until)),
            Err(NotExtended::OtherServer) => {
                let message = "the server has started again since the right to write was asked for";
                let detail = format!("It is server {} now, not {server}.", state::write_right().server());
                raise(over, message.into(), &detail, "")
            }
            Err(NotExtended::Over) => {
                raise(over, format!("the right to write of ballot {ballot} was given up"), "", "")
            }
            Err(NotExtended::TooFar) => raise(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("the right to write cannot end at {until} when it is {}", shared::now()),
                &format!("Times are CLOCK_BOOTTIME in milliseconds, and the end lies at most {LONGEST_LEASE} ms ahead."),
                "",
            ),
        }
    }
}

sql_function! {
    /// Ends the local right at once. Nothing is extended again under `ballot` or a lower one. NULL changes nothing.
    repmgr_write_right_lapse, |call| {
        shared::lapse(ballot(call, 0)?);
        Some(pg_return_void())
    }
}

sql_function! {
    /// Puts a question of a daemon to this node as a voter, and returns the answer; both are texts of `repmgr-write-right`.
    ///
    /// Raises an error for a question that cannot be read (22023), while it is not known which node this is (55000), if
    /// another session has been answering for seconds (55P03), and if the record cannot be read or written (58030): then
    /// nothing is answered. NULL for NULL.
    repmgr_write_right_ask, |call| {
        let question = String::from_utf8_lossy(text_argument(call, 0)?);
        let answer = voter::ask(&question, || {
            pgrx::check_for_interrupts!();
        });
        Some(text(answer.unwrap_or_else(|failure| fail(failure)).as_bytes()))
    }
}

sql_function! {
    /// Asks the daemon of this server, for so many milliseconds, to acquire the right for a promotion; zero takes that back.
    /// NULL changes nothing.
    repmgr_write_right_wish, |call| {
        state::write_right().wish(number(call, 0)?);
        Some(pg_return_void())
    }
}

sql_function! {
    /// Tells the daemon of this server, for so many milliseconds, which nodes a person gives up; zero takes that back.
    /// NULL changes nothing; what is no list of node ids is refused (22023).
    repmgr_write_right_give_up, |call| {
        shared::order(Order::GiveUp, &nodes(call, 0)?, number(call, 1)?);
        Some(pg_return_void())
    }
}

sql_function! {
    /// The same for nodes that were given up and may vote again.
    repmgr_write_right_take_back, |call| {
        shared::order(Order::TakeBack, &nodes(call, 0)?, number(call, 1)?);
        Some(pg_return_void())
    }
}

sql_function! {
    /// How the right to write stands on this server: see the SQL script for the columns.
    repmgr_write_right_status, |call| {
        let right = state::write_right();
        let now = shared::now();
        let end = Some(right.end()).filter(|end| *end != 0);
        let record = voter::look().unwrap_or_else(|failure| fail(failure));
        let known = record.as_ref().and_then(|(record, _)| Some(&record.durable.as_ref()?.known));
        let left = |until: u64| Some(bigint(until.saturating_sub(now)));
        let ordered = shared::ordered();
        let state = match &record {
            None => "none",
            Some((record, _)) if now < record.volatile.silent_until => "silent",
            Some((record, _)) if record.durable.is_none() => "lost",
            Some(_) => "voting",
        };
        Some(row(call, &[
            enforcement::is_loaded().into_datum(),
            (enforcement::is_loaded() && right.is_required()).into_datum(),
            (enforcement::is_loaded() && right.is_required() && right.is_strict()).into_datum(),
            Some(bigint(right.server())),
            Some(bigint(now)),
            end.map(bigint),
            end.and_then(left),
            Some(text(state.as_bytes())),
            record.as_ref().map(|(record, _)| Datum::from(record.node())),
            known.and_then(|known| Some(Datum::from(known.holder()?))),
            known.map(|known| bigint(known.epoch.0)),
            known.and_then(|known| Some(text(known.accepted?.to_string().as_bytes()))),
            record.as_ref().and_then(|(record, _)| left(record.volatile.lease_end)),
            known.map(|known| bigint(known.list.version)),
            known.map(|known| text(known.list.to_string().as_bytes())),
            record.as_ref().and_then(|(record, _)| left(record.volatile.silent_until)),
            record.and_then(|(_, loss)| loss.durable.or(loss.volatile)).map(|why| text(why.as_bytes())),
            right.is_wished().into_datum(),
            ordered.as_ref().map(|(order, _, _)| text(order.word().as_bytes())),
            ordered.as_ref().map(|(_, nodes, _)| {
                let nodes: Vec<String> = nodes.iter().map(i32::to_string).collect();
                text(nodes.join(",").as_bytes())
            }),
            ordered.map(|(_, _, until)| bigint(until)),
            Some(bigint(right.over_round())),
        ]))
    }
}

/// Raises the error that says why there is no answer.
fn fail(failure: Failure) -> ! {
    let (code, message, hint) = match failure {
        Failure::Malformed(malformed) => (
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("the question to this voter cannot be read: {malformed}"),
            "The daemon that asks and the library that is asked may be of different versions.",
        ),
        Failure::WhichNode => (
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "this server does not know yet which node it is".to_owned(),
            "The node's daemon says so when it starts.",
        ),
        Failure::Busy => (
            PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
            "another session has been answering for this voter for too long".to_owned(),
            "Look for a process that is stopped, or for a disk that does not answer.",
        ),
        Failure::Io(error) => (
            PgSqlErrorCode::ERRCODE_IO_ERROR,
            format!("the record of this voter cannot be read or written: {error}"),
            "Its files are pg_replslot/repmgr_write_right* in the data directory.",
        ),
    };
    raise(code, message, "", hint)
}

/// The bigint at `position`, `None` if NULL. A negative one is no time: it counts as zero.
fn number(call: FunctionCallInfo, position: usize) -> Option<u64> {
    // SAFETY: only called by functions that are declared with a bigint at this position.
    unsafe { pg_getarg::<i64>(call, position) }.map(|number| number.max(0).unsigned_abs())
}

/// The node ids whose list is at `position`, `None` if NULL; raises a server error (22023) for another text.
fn nodes(call: FunctionCallInfo, position: usize) -> Option<Vec<i32>> {
    let text = String::from_utf8_lossy(text_argument(call, position)?);
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let nodes: Option<Vec<i32>> = words.map(|word| word.parse().ok().filter(|id| *id > 0)).collect();
    let nodes = nodes.filter(|nodes| nodes.len() <= MOST_NODES);
    if nodes.is_none() {
        raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("\"{text}\" is not a list of node ids with commas between them, {MOST_NODES} at most"),
            "",
            "",
        );
    }
    nodes
}

/// The ballot whose text is at `position`, `None` if NULL; raises a server error (22023) for another text.
fn ballot(call: FunctionCallInfo, position: usize) -> Option<Ballot> {
    let text = String::from_utf8_lossy(text_argument(call, position)?);
    let ballot = Ballot::parse(&text);
    if ballot.is_err() {
        raise(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("\"{text}\" is not a ballot: a round, a node and an incarnation with dots between them"),
            "",
            "",
        );
    }
    ballot.ok()
}

fn bigint(number: u64) -> Datum {
    Datum::from(i64::try_from(number).unwrap_or(i64::MAX))
}
