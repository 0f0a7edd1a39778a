//! Answers of devices to commands, and their acknowledgements (contract, sections 4.1 to 4.4).

use engine::{Answer, Code, Device, Origin};
use lwm2m::OperationKind;

use super::content::{self, Payload, Published};
use super::{Finished, Surroundings, Writer, place_of};
use crate::bridge::Bridge;
use crate::contract::{Channel, Place};
use crate::json::{self, LeadingSlash};
use crate::message::code_message;
use crate::origin::{Asked, Sequence};
use crate::publication::Publication;
use crate::settings::Profile;
use crate::topic::Address;

/// What was asked of a device, by a command or by the engine itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// The command; `None` for an observation that the engine set up by itself.
    pub(super) asked: Option<&'a Asked<'a>>,
    /// The path, when no command gave one.
    pub(super) path: lwm2m::Path,
}

/// What a message says of its command besides the result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// The command; `None` for an observation that the engine set up by itself.
    pub(super) asked: Option<&'a Asked<'a>>,
    pub(super) message: &'a str,
    pub(super) sequence: Option<u32>,
    /// The path that `reqPath` shows when no command gave one.
    pub(super) path: lwm2m::Path,
}

impl Bridge {
    /// Appends the end of a command.
    pub fn finished(
        &mut self,
        finished: &Finished<'_>,
        surroundings: Surroundings<'_>,
        out: &mut Vec<Publication>,
    ) {
        let asked = Asked::unpack(finished.origin);
        let place = match finished.device {
            Some(device) => place_of(&self.contract, device),
            None => Place {
                mount: asked.map_or(0, |asked| asked.mount),
                endpoint: finished.endpoint.as_str(),
                address: Address::Asked(asked.and_then(|asked| asked.address)),
            },
        };
        let mut writer = Writer::new(self, place);
        match finished.result {
            Ok(answer) => {
                writer.answered(finished, answer, asked.as_ref(), surroundings, out);
            }
            Err(error) => {
                let request = Request { asked: asked.as_ref(), path: finished.path };
                writer.failed(request, error, out);
            }
        }
    }

    /// Appends the news that the device has a command and will answer later.
    pub fn acked(&mut self, device: &Device, origin: &Origin, out: &mut Vec<Publication>) {
        let Some(asked) = Asked::unpack(origin) else { return };
        let mut writer = Writer::of_device(self, device);
        let request = Request { asked: Some(&asked), path: lwm2m::Path::ROOT };
        writer.returned("ack", request, out);
    }
}

impl Writer<'_> {
    fn answered(
        &mut self,
        finished: &Finished<'_>,
        answer: &Answer,
        asked: Option<&Asked<'_>>,
        surroundings: Surroundings<'_>,
        out: &mut Vec<Publication>,
    ) {
        let observes = is_observe(finished.operation);
        // The number of an accepted observation; 0 is the plain form in every release.
        let sequence = answer
            .sequence
            .filter(|sequence| observes && answer.code.is_success() && *sequence > 0);
        let as_notification =
            sequence.is_some() && self.contract.settings.profile == Profile::Emqx4;
        let message = match (as_notification, asked) {
            (true, _) => "notify",
            (false, Some(asked)) => asked.message.name(),
            (false, None) => finished.operation.name(),
        };
        self.head(&Head { asked, message, sequence, path: finished.path });
        self.result(finished, answer, surroundings);
        self.raw("}}");
        if as_notification {
            self.answer_as_notification(finished.path, asked, out);
        } else {
            self.answer(asked, Channel::Response, out);
        }
    }

    pub(super) fn result(
        &mut self,
        finished: &Finished<'_>,
        answer: &Answer,
        surroundings: Surroundings<'_>,
    ) {
        if finished.operation == OperationKind::Discover && answer.code == Code::CONTENT {
            self.code(answer.code);
            self.raw(",\"content\":");
            return content::push_links(self.json, &answer.body);
        }
        let payload = Payload {
            code: answer.code,
            format: answer.format,
            body: &answer.body,
            path: finished.path,
        };
        let published = match finished.device {
            Some(device) if has_content(finished.operation, answer.code) => {
                payload.decode(&self.context(device, surroundings), self.contract.settings.profile)
            }
            _ => Published::CodeOnly,
        };
        self.code_and_content(answer.code, &published);
    }

    /// A message that repeats the command's `data`: acknowledgement, reset, silence.
    pub(super) fn returned(
        &mut self,
        message: &str,
        request: Request<'_>,
        out: &mut Vec<Publication>,
    ) {
        self.json.push(b'{');
        self.echo(request.asked, Sequence::FromApplication);
        self.raw("\"msgType\":\"");
        self.raw(message);
        self.raw("\",\"data\":");
        match request.asked {
            Some(asked) => self.raw(asked.data),
            None => {
                self.raw("{\"path\":");
                json::push_path(self.json, &request.path, LeadingSlash::Kept);
                self.raw("}");
            }
        }
        self.raw("}");
        self.answer(request.asked, Channel::Response, out);
    }

    /// The members that every message about a command repeats.
    pub(super) fn echo(&mut self, asked: Option<&Asked<'_>>, sequence: Sequence) {
        match asked {
            Some(asked) => asked.push_echo(self.json, sequence),
            None if self.contract.settings.profile == Profile::Emqx5 => {
                self.raw("\"is_auto_observe\":true,");
            }
            None => {}
        }
    }

    /// Everything up to `"reqPath":"..."`.
    pub(super) fn head(&mut self, head: &Head<'_>) {
        self.json.push(b'{');
        let sequence = head.sequence.map_or(Sequence::FromApplication, |_| Sequence::FromDevice);
        self.echo(head.asked, sequence);
        self.raw("\"msgType\":\"");
        self.raw(head.message);
        self.raw("\"");
        if let Some(sequence) = head.sequence {
            self.raw(",\"seqNum\":");
            json::push_integer(self.json, sequence);
        }
        self.raw(",\"data\":{\"reqPath\":");
        self.request_path(Request { asked: head.asked, path: head.path });
    }

    pub(super) fn request_path(&mut self, request: Request<'_>) {
        let Some(asked) = request.asked else {
            return json::push_path(self.json, &request.path, LeadingSlash::Kept);
        };
        match asked.request_path() {
            Some(path) => {
                self.raw("\"");
                self.raw(path);
                self.raw("\"");
            }
            None => self.raw("null"),
        }
    }

    pub(super) fn code_and_content(&mut self, code: Code, published: &Published) {
        match published {
            Published::CodeOnly => self.code(code),
            Published::Undecodable => self.code(Code::BAD_REQUEST),
            Published::Content(content) => {
                self.code(code);
                self.raw(",\"content\":");
                content::push_content(self.json, content);
            }
        }
    }

    pub(super) fn code(&mut self, code: Code) {
        let text =
            [b'0' + code.class(), b'.', b'0' + code.detail() / 10, b'0' + code.detail() % 10];
        self.raw(",\"code\":\"");
        self.json.extend_from_slice(&text);
        self.raw("\",\"codeMsg\":\"");
        self.raw(code_message(code, self.contract.settings.profile));
        self.raw("\"");
    }
}

const fn is_observe(operation: OperationKind) -> bool {
    matches!(operation, OperationKind::Observe | OperationKind::ObserveComposite)
}

/// Whether the payload of an answer holds values. A success code that does not belong to the
/// operation is published as it came, without them.
const fn has_content(operation: OperationKind, code: Code) -> bool {
    match operation {
        OperationKind::Read | OperationKind::ReadComposite => {
            matches!((code.class(), code.detail()), (2, 3..=5))
        }
        OperationKind::Observe
        | OperationKind::CancelObserve
        | OperationKind::ObserveComposite
        | OperationKind::CancelObserveComposite => notifies(code),
        OperationKind::Discover
        | OperationKind::Write
        | OperationKind::WriteAttributes
        | OperationKind::Execute
        | OperationKind::Create
        | OperationKind::Delete
        | OperationKind::WriteComposite => false,
    }
}

/// Whether a notification with this code holds values (RFC 7641 3.2).
pub(super) const fn notifies(code: Code) -> bool {
    matches!((code.class(), code.detail()), (2, 3 | 5))
}
