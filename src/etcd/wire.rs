//! The JSON of the gateway (etcd's manual, "Why gRPC gateway"): keys and values in base64, 64-bit numbers as strings,
//! what is zero or false left out.

use repmgr_write_right::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::write_right::etcd::{Entry, Kept, Reply, Seen};

/// The names of the two keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    holder: String,
    last: String,
}

/// The value of a key: our own JSON.
#[derive(Serialize, Deserialize)]
struct Text {
    node_id: NodeId,
    /// A string, as programs that read JSON may take numbers for floating ones.
    incarnation: String,
    epoch: u64,
}

impl Keys {
    /// Below this prefix.
    pub fn below(prefix: &str) -> Keys {
        let prefix = prefix.trim_end_matches('/');
        Keys {
            holder: format!("{prefix}/holder"),
            last: format!("{prefix}/last"),
        }
    }

    /// Reads both keys at once.
    pub fn look(&self) -> Value {
        json!({ "success": self.read() })
    }

    /// Makes `holder` anew with a lease, if both keys are at these revisions, and else reads them.
    pub fn take(&self, kept: &Kept, lease: &str, holder: u64, last: Option<u64>) -> Value {
        let text = Text {
            node_id: kept.node,
            incarnation: kept.incarnation.to_string(),
            epoch: kept.epoch,
        };
        let value = base64(serde_json::to_string(&text).expect("plain values").as_bytes());
        let mut compare = vec![at(&self.holder, holder)];
        let mut change =
            vec![json!({ "requestPut": { "key": base64(self.holder.as_bytes()), "value": value, "lease": lease } })];
        if let Some(last) = last {
            compare.push(at(&self.last, last));
            change.push(json!({ "requestPut": { "key": base64(self.last.as_bytes()), "value": value } }));
        }
        json!({ "compare": compare, "success": change, "failure": self.read() })
    }

    /// Removes `holder`, if it is at this revision, and else reads both keys.
    pub fn drop(&self, holder: u64) -> Value {
        let remove = json!({ "requestDeleteRange": { "key": base64(self.holder.as_bytes()) } });
        json!({ "compare": [at(&self.holder, holder)], "success": [remove], "failure": self.read() })
    }

    fn read(&self) -> Value {
        json!([
            { "requestRange": { "key": base64(self.holder.as_bytes()) } },
            { "requestRange": { "key": base64(self.last.as_bytes()) } },
        ])
    }

    /// The answer to [`Keys::look`], with the id of the holder's lease.
    pub fn looked(&self, answer: &Value) -> Result<(Seen, Option<String>), String> {
        let holder = first(answer, 0)?;
        let lease = holder.map(|kv| text(&kv["lease"]));
        let seen = Seen {
            holder: holder.map(entry).transpose()?,
            last: first(answer, 1)?.map(entry).transpose()?,
        };
        Ok((seen, lease))
    }

    /// The answer to a change.
    pub fn changed(&self, answer: &Value) -> Result<Reply, String> {
        if answer["succeeded"].as_bool() == Some(true) {
            let revision = number(&answer["header"]["revision"]).ok_or("an answer without a revision")?;
            return Ok(Reply::Done { revision });
        }
        self.looked(answer).map(|(seen, _)| Reply::Keys(seen))
    }
}

/// The one key that the range at this place of a transaction's answer found.
fn first(answer: &Value, at: usize) -> Result<Option<&Value>, String> {
    let responses = answer["responses"].as_array().ok_or("an answer without responses")?;
    let range = responses.get(at).and_then(|response| response.get("response_range"));
    let range = range.ok_or("an answer without what was asked for")?;
    Ok(range["kvs"].as_array().and_then(|kvs| kvs.first()))
}

fn entry(kv: &Value) -> Result<Entry, String> {
    let value = openssl::base64::decode_block(&text(&kv["value"])).map_err(|error| error.to_string())?;
    let strange = |error: &dyn std::fmt::Display| {
        format!(
            "a key holds what is not of this program, \"{}\": {error}",
            String::from_utf8_lossy(&value)
        )
    };
    let said: Text = serde_json::from_slice(&value).map_err(|error| strange(&error))?;
    Ok(Entry {
        kept: Kept {
            node: said.node_id,
            incarnation: said.incarnation.parse().map_err(|error| strange(&error))?,
            epoch: said.epoch,
        },
        revision: number(&kv["mod_revision"]).ok_or("a key without a revision")?,
    })
}

fn at(key: &str, revision: u64) -> Value {
    json!({ "key": base64(key.as_bytes()), "target": "MOD", "result": "EQUAL", "modRevision": revision.to_string() })
}

fn base64(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes)
}

/// A number, which comes as a string.
pub fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A text, or a number as one.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Kept = Kept {
        node: 2,
        incarnation: u64::MAX,
        epoch: 7,
    };

    #[test]
    fn a_key_that_is_not_there_is_at_revision_zero() {
        let take = Keys::below("/repmgr/1/").take(&KEPT, "77", 0, Some(5));
        assert_eq!(take["compare"][0]["key"], base64(b"/repmgr/1/holder"));
        assert_eq!(take["compare"][0]["modRevision"], "0");
        assert_eq!(take["compare"][1]["modRevision"], "5");
        assert_eq!(take["success"][0]["requestPut"]["lease"], "77");
        assert_eq!(take["success"][1]["requestPut"].get("lease"), None);
        let renewal = Keys::below("/repmgr/1").take(&KEPT, "77", 6, None);
        assert_eq!(renewal["success"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn what_was_written_is_read() {
        let keys = Keys::below("/p");
        let value = keys.take(&KEPT, "77", 0, Some(0))["success"][0]["requestPut"]["value"].clone();
        let kv = json!({ "key": "x", "value": value, "mod_revision": "12", "lease": "77" });
        let answer = json!({ "header": { "revision": "15" }, "responses": [
            { "response_range": { "kvs": [kv], "count": "1" } }, { "response_range": {} } ] });
        let (seen, lease) = keys.looked(&answer).unwrap();
        assert_eq!(
            seen.holder,
            Some(Entry {
                kept: KEPT,
                revision: 12
            })
        );
        assert_eq!((seen.last, lease.as_deref()), (None, Some("77")));
        assert_eq!(keys.changed(&answer), Ok(Reply::Keys(seen)));
        let done = json!({ "header": { "revision": "15" }, "succeeded": true });
        assert_eq!(keys.changed(&done), Ok(Reply::Done { revision: 15 }));
    }

    #[test]
    fn what_is_not_understood_is_no_answer() {
        let keys = Keys::below("/p");
        let kv = |value: &[u8]| json!({ "value": base64(value), "mod_revision": "1" });
        let foreign = json!({ "responses": [{ "response_range": { "kvs": [kv(b"x")] } }, { "response_range": {} }] });
        for answer in [
            json!({}),
            json!({ "responses": [] }),
            json!({ "succeeded": true }),
            foreign,
        ] {
            assert!(keys.changed(&answer).is_err(), "{answer}");
        }
    }
}
