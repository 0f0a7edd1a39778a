//! Every accepted command ends exactly once, whatever happens to its device.

use coap::{Code, Duration, Type};
use proptest::prelude::*;

use super::rig::{LINKS, Msg, Rig, cancel, execute, name, observe, peer, peer_at, read};
use crate::{CommandError, CommandId, Priority, QueueLimits, QueueOverflow, Settings};

/// Fact 19: (case A1) DELETE ends what is pending.
#[test]
fn a_deregister_ends_pending_commands() {
    let (mut rig, location) = Rig::registered(Settings::default());
    let flying = rig.submit(read("/3/0/0")).unwrap();
    let waiting = rig.submit(read("/3/0/1")).unwrap();
    let delete = Msg::request(Code::DELETE, rig.id(), &location);
    assert_eq!(rig.ask(peer(1), &delete).code, Code::DELETED);
    for command in [flying, waiting] {
        assert_eq!(rig.outcome(command), Err(CommandError::Deregistered));
    }
    assert_eq!(rig.take_names(), ["command_finished", "command_finished", "deregistered"]);
    rig.secs(200);
    assert!(rig.take_names().is_empty());
}

#[test]
fn a_kick_ends_pending_commands_and_the_registration() {
    let (mut rig, location) = Rig::registered(Settings::default());
    let flying = rig.submit(read("/3/0/0")).unwrap();
    assert!(rig.server.kick(rig.now, &name("dev")));
    assert!(!rig.server.kick(rig.now, &name("dev")));
    rig.settle();
    assert_eq!(rig.outcome(flying), Err(CommandError::Deregistered));
    assert_eq!(rig.take_names(), ["command_finished", "kicked"]);
    let update = Msg::post(rig.id(), &location);
    assert_eq!(rig.ask(peer(1), &update).code, Code::NOT_FOUND);
}

/// Table 0.1: what waits is sent under the new registration, what is in flight ends as replaced.
#[test]
fn commands_that_wait_survive_a_new_register_in_order() {
    let (mut rig, _) = Rig::registered(Settings::default());
    let flying = rig.submit(read("/3/0/0")).unwrap();
    let waiting: Vec<CommandId> =
        ["/3/0/1", "/3/0/2"].iter().map(|uri| rig.submit(read(uri)).unwrap()).collect();
    let late = rig.take_request();
    rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    assert_eq!(rig.outcome(flying), Err(CommandError::Replaced));
    // The answer to the former request belongs to nobody any more.
    rig.send(peer(1), &late.answer(Code::CONTENT));
    for uri in ["/3/0/1", "/3/0/2"] {
        let request = rig.take_request();
        assert_eq!(request.uri(), uri);
        rig.send(peer(1), &request.answer(Code::CONTENT));
    }
    for command in waiting {
        assert_eq!(rig.outcome(command), Ok(Code::CONTENT));
    }
    assert_eq!(rig.finished().len(), 3);
}

/// What can happen to a device and its commands.
#[derive(Clone, Debug)]
enum Step {
    Submit { kind: u8, urgent: bool, ttl: u8 },
    Answer { code: u8, separate: bool },
    Ack,
    Reset,
    Notify { code: u8, observe: u8, confirmable: bool },
    Register { port: u8, queue_mode: bool },
    Update { port: u8 },
    Deregister,
    Kick,
    Wait { seconds: u8 },
    Garbage(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6u8, any::<bool>(), 0..40u8)
            .prop_map(|(kind, urgent, ttl)| Step::Submit { kind, urgent, ttl }),
        4 => (0..4u8, any::<bool>()).prop_map(|(code, separate)| Step::Answer { code, separate }),
        2 => Just(Step::Ack),
        1 => Just(Step::Reset),
        3 => (0..3u8, 0..9u8, any::<bool>()).prop_map(|(code, observe, confirmable)| {
            Step::Notify { code, observe, confirmable }
        }),
        2 => (0..3u8, any::<bool>())
            .prop_map(|(port, queue_mode)| Step::Register { port, queue_mode }),
        2 => (0..3u8).prop_map(|port| Step::Update { port }),
        1 => Just(Step::Deregister),
        1 => Just(Step::Kick),
        3 => (0..120u8).prop_map(|seconds| Step::Wait { seconds }),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Garbage),
    ]
}

/// Plays the steps, answering the requests that the server has sent in their order.
struct Play {
    rig: Rig,
    location: String,
    accepted: Vec<CommandId>,
    requests: Vec<Msg>,
    tokens: Vec<coap::Token>,
}

impl Play {
    fn new() -> Self {
        let queue = QueueLimits {
            commands: 4,
            overflow: QueueOverflow::DropOldest,
            ..QueueLimits::default()
        };
        let (rig, location) = Rig::registered(Settings { queue, ..Settings::default() });
        Self { rig, location, accepted: vec![], requests: vec![], tokens: vec![] }
    }

    fn step(&mut self, step: &Step) {
        let from = peer(1);
        match step {
            Step::Submit { kind, urgent, ttl } => self.submit(*kind, *urgent, *ttl),
            Step::Answer { code, separate } => self.answer(*code, *separate),
            Step::Ack => self.reply(|request| Msg::empty(Type::Acknowledgement, request.id)),
            Step::Reset => self.reply(|request| Msg::empty(Type::Reset, request.id)),
            Step::Notify { code, observe, confirmable } => {
                self.notify(*code, *observe, *confirmable);
            }
            Step::Register { port, queue_mode } => {
                let query = if *queue_mode { "&Q" } else { "" };
                let uri = format!("/rd?ep=dev&lt=100&lwm2m=1.1{query}");
                let id = self.rig.id();
                let message = Msg::post(id, &uri).payload(LINKS);
                let answer = self.rig.ask(peer_at(1, 5000 + u16::from(*port)), &message);
                self.location = answer.location();
            }
            Step::Update { port } => {
                let message = Msg::post(self.rig.id(), &self.location);
                self.rig.send(peer_at(1, 5000 + u16::from(*port)), &message);
            }
            Step::Deregister => {
                let id = self.rig.id();
                let message = Msg::request(Code::DELETE, id, &self.location);
                self.rig.send(from, &message);
            }
            Step::Kick => {
                self.rig.server.kick(self.rig.now, &name("dev"));
                self.rig.settle();
            }
            Step::Wait { seconds } => self.rig.secs(u64::from(*seconds)),
            Step::Garbage(bytes) => drop(self.rig.deliver(from, bytes)),
        }
        self.collect();
    }

    fn submit(&mut self, kind: u8, urgent: bool, ttl: u8) {
        let operation = match kind {
            0 => read("/3/0/0"),
            1 => execute("/3/0/4"),
            2 => observe("/3303/0/5700"),
            3 => cancel("/3303/0/5700"),
            4 => observe("/3303/0"),
            _ => read("/3/0"),
        };
        let expires = self.rig.now + Duration::from_secs(u64::from(ttl));
        let result = self.rig.submit_with(operation, |command| {
            command.expires = Some(expires);
            command.priority = if urgent { Priority::Urgent } else { Priority::Normal };
        });
        self.accepted.extend(result);
    }

    fn answer(&mut self, code: u8, separate: bool) {
        let code = [Code::CONTENT, Code::CHANGED, Code::NOT_FOUND, Code::INTERNAL_SERVER_ERROR]
            [usize::from(code)];
        let id = self.rig.id();
        self.reply(|request| {
            let mut answer = request.answer(code).observe(1);
            if separate {
                (answer.kind, answer.id) = (Type::Confirmable, coap::MessageId::new(id));
            }
            answer
        });
    }

    fn reply(&mut self, make: impl FnOnce(&Msg) -> Msg) {
        if self.requests.is_empty() {
            return;
        }
        let request = self.requests.remove(0);
        self.rig.send(peer(1), &make(&request));
    }

    fn notify(&mut self, code: u8, observe: u8, confirmable: bool) {
        let Some(&token) = self.tokens.last() else { return };
        let code = [Code::CONTENT, Code::CONTENT, Code::NOT_FOUND][usize::from(code)];
        let kind = if confirmable { Type::Confirmable } else { Type::NonConfirmable };
        let id = self.rig.id();
        let message = Msg::with_token(token, kind, code, id).observe(observe.into());
        self.rig.send(peer(1), &message);
    }

    fn collect(&mut self) {
        for (_, sent) in self.rig.sent.drain(..) {
            if sent.code.is_request() {
                if sent.options.options().observe() == Some(0) {
                    self.tokens.push(sent.token);
                }
                self.requests.push(sent);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_accepted_command_ends_exactly_once(steps in proptest::collection::vec(step(), 1..60)) {
        let mut play = Play::new();
        steps.iter().for_each(|step| play.step(step));
        // In the end every lifetime, queue and exchange runs out.
        play.rig.secs(2 * 86_400);
        let mut ended: Vec<_> = play.rig.finished().iter().map(|end| end.command).collect();
        ended.sort_unstable();
        prop_assert_eq!(ended, play.accepted);
        prop_assert_eq!(play.rig.server.registrations(), 0);
        prop_assert_eq!(play.rig.server.observations(), 0);
        let stats = play.rig.server.stats();
        let ends = stats.commands_answered + stats.commands_failed;
        prop_assert_eq!(stats.commands_accepted, ends);
    }
}
