//! Ends of commands as the REST API's lookup shows them (contract, section 9.2).
//!
//! The same codes and content as on the response topic, but nothing is echoed and nothing is left
//! out: what a profile is silent about on MQTT has been asked for here.

use engine::{Answer, Code, CommandError, Device};
use lwm2m::model::{ObjectModel, Operations};
use lwm2m::{ModelView, OperationKind, Path, link_format};

use super::report::code_of;
use super::{Finished, Surroundings, Writer, place_of};
use crate::bridge::Bridge;
use crate::contract::Place;
use crate::json::{self, LeadingSlash};
use crate::topic::Address;

impl Bridge {
    /// Appends a JSON object with `code`, `codeMsg` and, where there is one, `content` or `reason`.
    ///
    /// A command that got no answer has EMQX's code for that, `6.01`, and the reason.
    pub fn record(
        &mut self,
        finished: &Finished<'_>,
        surroundings: Surroundings<'_>,
        out: &mut Vec<u8>,
    ) {
        let place = match finished.device {
            Some(device) => place_of(&self.contract, device),
            None => {
                let endpoint = finished.endpoint.as_str();
                Place { mount: 0, endpoint, address: Address::Asked(None) }
            }
        };
        let mut writer = Writer::new(self, place);
        match finished.result {
            Ok(answer) => writer.recorded(finished, answer, surroundings),
            Err(error) => writer.unanswered(error),
        }
        // Each member is written with a comma before it, as behind `reqPath`.
        out.push(b'{');
        out.extend_from_slice(writer.json.get(1..).unwrap_or_default());
        out.push(b'}');
    }
}

impl Writer<'_> {
    fn recorded(
        &mut self,
        finished: &Finished<'_>,
        answer: &Answer,
        surroundings: Surroundings<'_>,
    ) {
        let discovers = finished.operation == OperationKind::Discover;
        match finished.device {
            Some(device) if discovers && answer.code == Code::CONTENT => {
                self.code(answer.code);
                self.raw(",\"content\":");
                let models = ModelView::new(surroundings.models, device.info.objects());
                push_definitions(self.json, &answer.body, device, models);
            }
            _ => self.result(finished, answer, surroundings),
        }
    }

    fn unanswered(&mut self, error: &CommandError) {
        match code_of(error) {
            Some((code, reason)) => {
                self.code(code);
                self.reason(&reason);
            }
            None => {
                self.raw(",\"code\":\"6.01\",\"codeMsg\":\"reply_not_received\"");
                self.reason(error.name());
            }
        }
    }

    fn reason(&mut self, reason: &str) {
        self.raw(",\"reason\":");
        json::push_string(self.json, reason);
    }
}

/// Appends what is defined of each link but the first, which is the path that was asked for.
/// (EMQX shows the second one only, a leftover of the time when links came as one text.)
fn push_definitions(out: &mut Vec<u8>, body: &[u8], device: &Device, models: ModelView<'_>) {
    let text = String::from_utf8_lossy(body);
    let root = device.info.links.as_deref().map_or("/", |links| links.alternate_path());
    out.push(b'[');
    for (number, link) in link_format::links(&text).skip(1).enumerate() {
        if number > 0 {
            out.push(b',');
        }
        let target = link.target.strip_prefix(root.trim_end_matches('/')).unwrap_or(link.target);
        let path = Path::parse(target).ok();
        let defined = path.and_then(|path| Some((path, models.object(path.object_id()?)?)));
        let is_written = defined.is_some_and(|(path, object)| push_definition(out, path, object));
        if !is_written {
            push_unknown(out, link.target);
        }
    }
    out.push(b']');
}

/// Appends one definition; `false`, and nothing, if there is none of the resource.
fn push_definition(out: &mut Vec<u8>, path: Path, object: &ObjectModel) -> bool {
    let resource = path.resource_id().map(|id| object.resource(id));
    let (name, resource) = match resource {
        Some(None) => return false,
        Some(Some(resource)) => (&resource.name, Some(resource)),
        None => (&object.name, None),
    };
    out.extend_from_slice(b"{\"path\":");
    json::push_path(out, &path, LeadingSlash::Kept);
    out.extend_from_slice(b",\"name\":");
    json::push_string(out, name);
    if let Some(resource) = resource {
        out.extend_from_slice(b",\"operations\":");
        json::push_string(out, resource.operations.letters());
        if resource.operations != Operations::Execute {
            out.extend_from_slice(b",\"dataType\":");
            json::push_string(out, resource.data_type.name());
        }
    }
    out.push(b'}');
    true
}

/// A link without a definition stands for itself, as in EMQX.
fn push_unknown(out: &mut Vec<u8>, link: &str) {
    out.push(b'{');
    json::push_string(out, link);
    out.push(b':');
    json::push_string(out, link);
    out.push(b'}');
}
