//! Retained commands for a device that registered: contract, sections 3.1 and 8.
//!
//! They are submitted behind the event, so that the registration is published before any answer of
//! theirs, and before every command that is published in reaction to it.

use bridge::{Circumstances, Downlink, Profile};
use engine::{Command, Event, Instant};
use lwm2m::EndpointName;

use super::Shard;
use crate::inbox::CommandInput;
use crate::mqtt::Incoming;
use crate::retained::Occasion;

impl Shard {
    pub(super) fn hand_out_retained(&mut self, now: Instant, event: &Event) {
        let (device, occasion) = match event {
            Event::Registered { device, .. } => (device, Occasion::Register(device.registration)),
            // EMQX 5 subscribes again with every Update, and the broker repeats them.
            Event::Updated { device, .. }
                if self.uplink.bridge().settings().profile == Profile::Emqx5 =>
            {
                (device, Occasion::Update)
            }
            _ => return, // No other event makes a device subscribe.
        };
        for incoming in self.shared.retained.hand_out(&device.endpoint, occasion, now) {
            if let Some(command) = self.read_retained(now, &device.endpoint, &incoming) {
                self.submit_retained(now, command);
            }
        }
    }

    /// It was a command when it was taken; with other settings it may be none any more.
    fn read_retained(
        &self,
        now: Instant,
        name: &EndpointName,
        incoming: &Incoming,
    ) -> Option<Command> {
        let circumstances = Circumstances {
            now,
            models: self.uplink.models(),
            registered: &|other: &EndpointName| other == name,
            takes_commands: &|topic: &str| self.shared.device_topics.takes(topic),
        };
        match self.uplink.bridge().downlink_to(&incoming.delivery(), circumstances) {
            Downlink::Command(command) => Some(*command),
            Downlink::Refused { .. } | Downlink::Dropped(_) => None,
        }
    }

    fn submit_retained(&mut self, now: Instant, command: Command) {
        match self.uplink.reserve() {
            Some(reservation) => {
                self.submit(now, CommandInput { command, reservation, waiter: None, hops: 0 });
            }
            // It comes again with the next registration.
            None => self.shared.retained.delay(),
        }
    }
}
