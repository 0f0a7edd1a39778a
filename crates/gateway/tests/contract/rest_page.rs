//! The examples of docs/rest.md, run from top to bottom against one gateway and the device
//! `meter-1`.
//!
//! | block | meaning |
//! |---|---|
//! | `http request` | what is sent: method and path, an empty line and the body if there is one |
//! | `coap answer LINE` | the device's answer to what it was sent; behind `link` its payload |
//! | `json answer STATUS` | the answer: members that it names, with `"..."` for any value |
//! | `http answer STATUS` | the same without a body |

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use gateway::config::Profile;
use serde_json::Value as Json;

use crate::bench::Device;
use crate::coap::Message;
use crate::http::{Answer, Api, gateway};

const PAGE: &str = include_str!("../../../../docs/rest.md");

/// More examples than this are on the page; fewer mean that the parser has lost them.
const EXAMPLES_MIN: usize = 26;

struct Block<'a> {
    words: &'a str,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut is_open = false;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), is_open) {
            (Some(words), false) => {
                is_open = true;
                blocks.push(Block { words, text: String::new(), line: number + 1 });
            }
            (Some(_), true) => is_open = false,
            (None, true) => {
                let block = blocks.last_mut().expect("it was opened");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!is_open, "a block of the page is not closed");
    blocks
}

#[test]
fn the_examples_of_the_page_are_what_the_gateway_does() {
    for profile in [Profile::Emqx4, Profile::Emqx5] {
        let (gateway, api) = gateway(profile, "rest-page-examples", |_| {});
        let device = gateway.registered("meter-1");
        let mut checked = 0;
        let blocks = blocks(PAGE);
        std::thread::scope(|threads| {
            let mut pending: Option<Receiver<Answer>> = None;
            for (index, block) in blocks.iter().enumerate() {
                let place = format!("docs/rest.md:{} in {profile:?}", block.line);
                let (kind, rest) = block.words.split_once(" answer ").unwrap_or((block.words, ""));
                match kind {
                    "http request" => {
                        assert!(pending.is_none(), "{place}: the request before has no answer");
                        let (sender, receiver) = std::sync::mpsc::channel();
                        let api = &api;
                        let next = blocks.get(index + 1).map_or("", |next| &next.text);
                        let wait = if next.contains("6.01") { Wait::No } else { Wait::ForAnswer };
                        threads.spawn(move || sender.send(ask_until_known(api, &block.text, wait)));
                        pending = Some(receiver);
                    }
                    "coap" => reply(&device, rest),
                    "json" | "http" => {
                        let answer = pending.take().and_then(|answer| answer.recv().ok());
                        let answer = answer.unwrap_or_else(|| panic!("{place}: no request"));
                        assert_eq!(answer.status.to_string(), rest, "{place}: {:?}", answer.json);
                        let expected = match block.text.as_str() {
                            "" => Json::Null,
                            text => serde_json::from_str(text).expect(&place),
                        };
                        agree(&expected, &answer.json, &place);
                        checked += 1;
                    }
                    other => panic!("{place}: what is `{other}`?"),
                }
            }
        });
        assert!(checked >= EXAMPLES_MIN, "only {checked} examples");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForAnswer,
    No,
}

/// Asks; a lookup again until the device's answer, which is on its way, has arrived.
fn ask_until_known(api: &Api, text: &str, wait: Wait) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask(api, text);
        let is_known = !text.contains("/lookup?") || answer.json["code"] != "6.01";
        if is_known || wait == Wait::No || Instant::now() > deadline {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ask(api: &Api, text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let (method, path) = head.trim().split_once(' ').expect("method and path");
    let path = path.strip_prefix("/api/v5/gateways").expect("a path of the API");
    let body = || serde_json::from_str(body).unwrap_or(Json::Null);
    match method {
        "GET" => api.get(path),
        "DELETE" => api.delete(path),
        "PUT" => api.put_json(path, &body()),
        _ if body().is_null() => api.post(path),
        _ => api.post_json(path, &body()),
    }
}

fn reply(device: &Device<'_>, line: &str) {
    let request = device.receive();
    match line.split_once("link ") {
        Some((code, links)) => {
            let answer = Message::answer(&request, &format!("{code}link"));
            device.send(&answer.body(links.as_bytes()));
        }
        None => device.answer(&request, line),
    }
}

/// Whether an answer has everything that is expected of it.
fn agree(expected: &Json, found: &Json, place: &str) {
    match (expected, found) {
        (Json::String(any), _) if any == "..." => {}
        (Json::Object(expected), Json::Object(found)) => {
            for (name, value) in expected {
                let member = found.get(name).unwrap_or_else(|| panic!("{place}: no {name}"));
                agree(value, member, &format!("{place}: {name}"));
            }
        }
        (Json::Array(expected), Json::Array(found)) => {
            let open = expected.last().is_some_and(|last| last == "...");
            let count = expected.len() - usize::from(open);
            let fits = if open { found.len() >= count } else { found.len() == count };
            assert!(fits, "{place}: {} items: {found:?}", found.len());
            for (index, (expected, found)) in expected.iter().take(count).zip(found).enumerate() {
                agree(expected, found, &format!("{place}: {index}"));
            }
        }
        _ => assert_eq!(expected, found, "{place}"),
    }
}
