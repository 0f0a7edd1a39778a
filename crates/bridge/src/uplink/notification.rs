//! Notifications and Sends (contract, section 5).

use engine::{Device, Freshness, ObserveCause, Observed};
use lwm2m::{Format, Path};

use super::answer::{Head, Request, notifies};
use super::content::{self, Payload, Published};
use super::{Finished, Notified, Surroundings, Writer};
use crate::bridge::Bridge;
use crate::contract::Channel;
use crate::origin::Asked;
use crate::publication::Publication;
use crate::settings::{FirmwareNotify, Profile, StaleNotifications};

impl Bridge {
    /// Appends a notification.
    pub fn notified(
        &mut self,
        notified: &Notified<'_>,
        surroundings: Surroundings<'_>,
        out: &mut Vec<Publication>,
    ) {
        let stale = notified.freshness == Freshness::Stale;
        if stale && self.contract.settings.stale_notifications == StaleNotifications::Drop {
            return;
        }
        let asked = Asked::unpack(notified.origin);
        let mut writer = Writer::of_device(self, notified.device);
        if notified.code.is_success() {
            writer.notification(notified, asked.as_ref(), surroundings, out);
        } else {
            writer.observation_ended(notified, asked.as_ref(), out);
        }
    }

    /// Appends what became of an observe that the engine sent by itself. Who had asked for an
    /// observation that is set up again has had the answer to that long ago, so what comes now is
    /// one more value, or the end.
    pub(super) fn observed(
        &mut self,
        observed: &Observed,
        surroundings: Surroundings<'_>,
        out: &mut Vec<Publication>,
    ) {
        match (observed.cause, &observed.result) {
            (ObserveCause::Automatic, _) => {
                self.finished(&Finished::from(observed), surroundings, out);
            }
            (ObserveCause::Rearmed, Ok(answer)) => {
                let notified = Notified {
                    device: &observed.device,
                    path: observed.path,
                    origin: &observed.origin,
                    code: answer.code,
                    format: answer.format,
                    body: &answer.body,
                    sequence: answer.sequence.unwrap_or_default(),
                    freshness: Freshness::Fresh,
                };
                self.notified(&notified, surroundings, out);
            }
            (ObserveCause::Rearmed, Err(error)) => {
                let asked = Asked::unpack(&observed.origin);
                // Nobody waits on the topic that the command named for its answer.
                let asked = asked.map(|asked| Asked { response_topic: None, ..asked });
                let mut writer = Writer::of_device(self, &observed.device);
                writer.failed(Request { asked: asked.as_ref(), path: observed.path }, error, out);
            }
        }
    }

    /// Appends what a device sent without being asked: `"msgType":"send"` on the notify topic.
    pub(super) fn sent(
        &mut self,
        device: &Device,
        format: Format,
        body: &[u8],
        surroundings: Surroundings<'_>,
        out: &mut Vec<Publication>,
    ) {
        let mut writer = Writer::of_device(self, device);
        let code = engine::Code::CONTENT;
        let payload = Payload { code, format: Some(format), body, path: Path::ROOT };
        let profile = writer.contract.settings.profile;
        // The engine answers 4.00 to what does not decode, so this is for definitions that changed
        // in between.
        let Published::Content(content) =
            payload.decode(&writer.context(device, surroundings), profile)
        else {
            return;
        };
        writer.raw("{\"msgType\":\"send\",\"data\":{\"content\":");
        content::push_content(writer.json, &content);
        writer.raw("}}");
        writer.publish(Channel::Notify, out);
    }
}

impl Writer<'_> {
    fn notification(
        &mut self,
        notified: &Notified<'_>,
        asked: Option<&Asked<'_>>,
        surroundings: Surroundings<'_>,
        out: &mut Vec<Publication>,
    ) {
        let sequence = Some(notified.sequence);
        self.head(&Head { asked, message: "notify", sequence, path: notified.path });
        let published = if notifies(notified.code) {
            let payload = Payload {
                code: notified.code,
                format: notified.format,
                body: notified.body,
                path: notified.path,
            };
            let context = self.context(notified.device, surroundings);
            payload.decode(&context, self.contract.settings.profile)
        } else {
            Published::CodeOnly
        };
        self.code_and_content(notified.code, &published);
        self.raw("}}");
        self.publish_notification(notified.path, out);
    }

    /// The device gave up: the observation's last message is an answer to `observe`.
    fn observation_ended(
        &mut self,
        notified: &Notified<'_>,
        asked: Option<&Asked<'_>>,
        out: &mut Vec<Publication>,
    ) {
        let message = asked.map_or("observe", |asked| asked.message.name());
        self.head(&Head { asked, message, sequence: None, path: notified.path });
        self.code(notified.code);
        self.raw("}}");
        self.publish(Channel::Response, out);
    }

    fn publish_notification(&mut self, path: Path, out: &mut Vec<Publication>) {
        let settings = &self.contract.settings;
        let (notify, firmware) = match (settings.firmware_notify, settings.profile) {
            _ if path.object_id() != Some(FIRMWARE_OBJECT) => (true, false),
            (FirmwareNotify::Both, _) => (true, true),
            (FirmwareNotify::Profile, Profile::Emqx5) => (false, true),
            (FirmwareNotify::Notify, _) | (FirmwareNotify::Profile, Profile::Emqx4) => {
                (true, false)
            }
        };
        if notify {
            self.publish(Channel::Notify, out);
        }
        if firmware {
            self.publish(Channel::Firmware, out);
        }
    }

    /// The first answer of an observation in profile emqx4. Who named a topic for the answer waits
    /// for it there.
    pub(super) fn answer_as_notification(
        &mut self,
        path: Path,
        asked: Option<&Asked<'_>>,
        out: &mut Vec<Publication>,
    ) {
        self.publish_notification(path, out);
        self.answer_to(asked, out);
    }
}

/// Firmware Update (OMA Core Appendix E.6).
const FIRMWARE_OBJECT: u16 = 5;
