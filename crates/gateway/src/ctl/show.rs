//! Answers of the API as lines for people.

use serde_json::Value;

use super::client::CtlError;

/// The whole answer.
pub(super) fn json(answer: &Value) -> String {
    format!("{answer:#}\n")
}

pub(super) fn status(answer: &Value) -> String {
    let mut text = String::new();
    for gateway in rows(answer) {
        text += &format!(
            "{} {}, {} of {} devices, since {}\n",
            cell(&gateway["name"]),
            cell(&gateway["status"]),
            cell(&gateway["current_connections"]),
            cell(&gateway["max_connections"]),
            cell(&gateway["started_at"]),
        );
        for listener in rows(&gateway["listeners"]) {
            let running = listener["running"] == true;
            let state = if running { "running" } else { "stopped" };
            text += &format!("{} {state}\n", cell(&listener["id"]));
        }
    }
    text
}

pub(super) fn devices(answer: &Value) -> String {
    table(
        &["NAME", "ADDRESS", "LIFETIME", "PRESENCE", "LAST HEARD", "WAITING", "OBSERVED"],
        rows(answer).map(|row| {
            vec![
                cell(&row["endpoint_name"]),
                address(row),
                cell(&row["lifetime"]),
                cell(&row["presence"]),
                cell(&row["last_heard_at"]),
                cell(&row["mqueue_len"]),
                cell(&row["observations_cnt"]),
            ]
        }),
    )
}

pub(super) fn device(answer: &Value) -> String {
    let member = |name: &str, value: String| format!("{name:<12} {value}\n");
    let mut text = String::new();
    text += &member("name", cell(&answer["endpoint_name"]));
    text += &member("address", address(answer));
    text += &member("lwm2m", cell(&answer["proto_ver"]));
    text += &member("lifetime", format!("{} s", cell(&answer["lifetime"])));
    text += &member("registered", cell(&answer["created_at"]));
    text += &member("expires", cell(&answer["expires_at"]));
    text += &member("last heard", cell(&answer["last_heard_at"]));
    text += &member("presence", cell(&answer["presence"]));
    text += &member("in flight", cell(&answer["inflight_cnt"]));
    text += &member("waiting", cell(&answer["mqueue_len"]));
    text += &member("topics", cell(&answer["mountpoint"]));
    if let Some(parameters) = answer["parameters"].as_object() {
        for (name, value) in parameters {
            text += &member("parameter", format!("{name}={}", cell(value)));
        }
    }
    for observed in rows(&answer["observations"]) {
        text += &member("observed", cell(&observed["path"]));
    }
    for link in rows(&answer["objectList"]) {
        text += &member("object", cell(link));
    }
    text
}

pub(super) fn listeners(answer: &Value) -> String {
    table(
        &["ID", "ADDRESS", "RUNNING", "DEVICES"],
        rows(answer).map(|row| {
            let status = &row["status"];
            let address =
                if status["address"].is_null() { &row["bind"] } else { &status["address"] };
            vec![
                cell(&row["id"]),
                cell(address),
                cell(&row["running"]),
                cell(&status["current_connections"]),
            ]
        }),
    )
}

pub(super) fn objects(answer: &Value) -> String {
    table(
        &["ID", "VERSION", "NAME"],
        rows(answer).map(|row| vec![cell(&row["id"]), cell(&row["version"]), cell(&row["name"])]),
    )
}

pub(super) fn object(answer: &Value) -> String {
    let mut text = String::new();
    for version in rows(answer) {
        let names = [&version["id"], &version["version"], &version["name"]].map(cell);
        text += &format!("{}\n", names.join(" "));
        text += &table(
            &["ID", "NAME", "ACCESS", "TYPE"],
            rows(&version["resources"]).map(|row| {
                let members = ["id", "name", "operations", "dataType"];
                members.map(|member| cell(&row[member])).to_vec()
            }),
        );
    }
    text
}

/// The end of a command: the values, or the code where there are none.
pub(super) fn end(answer: &Value) -> String {
    let Some(content) = answer["content"].as_array() else {
        return format!("{} {}\n", cell(&answer["code"]), cell(&answer["codeMsg"]));
    };
    table(&[], content.iter().map(item))
}

fn item(item: &Value) -> Vec<String> {
    if item.get("value").is_some() {
        return vec![cell(&item["path"]), cell(&item["value"])];
    }
    if item.get("name").is_some() {
        let members = ["path", "operations", "dataType", "name"];
        return members.map(|member| cell(&item[member])).to_vec();
    }
    let members = item.as_object().into_iter().flatten();
    members.map(|(name, _)| name.clone()).collect()
}

/// Whether a command has ended: it has a code of the device, or a reason why there is none.
pub(super) fn has_ended(answer: &Value) -> bool {
    answer["code"] != NO_REPLY || answer["reason"].is_string()
}

/// Why the end of a command is no success.
pub(super) fn failure(answer: &Value) -> Option<CtlError> {
    let code = cell(&answer["code"]);
    if code.starts_with("2.") {
        return None;
    }
    Some(match answer["reason"].as_str() {
        Some(reason) => CtlError::NoAnswer(reason.to_owned()),
        None if code == NO_REPLY => {
            CtlError::NoAnswer("the device has not answered yet".to_owned())
        }
        None => CtlError::Device { code, name: cell(&answer["codeMsg"]) },
    })
}

/// The API's code for a command without an answer.
const NO_REPLY: &str = "6.01";

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn address(row: &Value) -> String {
    let (ip, port) = (cell(&row["ip_address"]), cell(&row["port"]));
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// A value on one line. What a device sent must not move the cursor of a terminal.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.replace(char::is_control, "\u{fffd}")
}

/// Columns as wide as their widest cell.
fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let lines: Vec<Vec<String>> =
        Some(head).into_iter().filter(|head| !head.is_empty()).chain(rows).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&["X", "NAME"], rows.into_iter()), "X     NAME\na     b\nlong\n");
        assert_eq!(table(&[], std::iter::empty()), "");
    }

    #[test]
    fn the_end_of_a_command_is_a_success_an_error_or_silence() {
        let end = |code: &str, reason: Option<&str>| {
            let mut end = json!({"code": code, "codeMsg": "name"});
            if let Some(reason) = reason {
                end["reason"] = reason.into();
            }
            end
        };
        assert!(failure(&end("2.05", None)).is_none());
        assert!(matches!(failure(&end("4.04", None)), Some(CtlError::Device { .. })));
        assert!(matches!(failure(&end("6.01", Some("reset"))), Some(CtlError::NoAnswer(_))));
        assert!(matches!(failure(&end("5.03", Some("expired"))), Some(CtlError::NoAnswer(_))));
        assert!(!has_ended(&end("6.01", None)));
        assert!(has_ended(&end("6.01", Some("timeout"))) && has_ended(&end("2.04", None)));
    }

    #[test]
    fn values_of_devices_cannot_control_a_terminal() {
        let content = json!({"content": [{"path": "/3/0/0", "value": "a\u{1b}[2Jb\n"}]});
        assert_eq!(end(&content), "/3/0/0  a\u{fffd}[2Jb\u{fffd}\n");
        let discovered = json!({"content": [
            {"path": "/3/0/4", "name": "Reboot", "operations": "E"}, {"/9": "/9"}
        ]});
        assert_eq!(end(&discovered), "/3/0/4  E    Reboot\n/9\n");
    }
}
