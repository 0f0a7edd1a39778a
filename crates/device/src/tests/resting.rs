//! A device that is put to rest whenever it can be, against one that never is.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{Answers, Identity, Name, Reliability, Rest};

/// A device that rests between its inputs. Who is woken finds the buffers of somebody else.
struct Sleeper {
    profile: Arc<Profile>,
    device: Option<Device>,
    rest: Option<Rest>,
    nobody: Device,
    rests: usize,
}

impl Sleeper {
    fn new(device: Device, profile: Arc<Profile>) -> Self {
        let nobody = used(Arc::clone(&profile));
        Self { profile, device: Some(device), rest: None, nobody, rests: 0 }
    }

    /// Wakes the device for an input, and puts it to rest again if it can.
    fn with<T>(&mut self, input: impl FnOnce(&mut Device) -> T) -> T {
        let mut device = match self.rest.take() {
            Some(rest) => {
                let mut device = self.nobody.clone();
                let identity = Identity {
                    name: Name::Numbered(1),
                    profile: &self.profile,
                    habits: self.profile.habits(),
                };
                device.wake(rest, identity);
                device
            }
            None => self.device.take().expect("a device that does not rest"),
        };
        let outcome = input(&mut device);
        match device.rest() {
            Some(rest) => {
                self.rests += 1;
                self.rest = Some(rest);
            }
            None => self.device = Some(device),
        }
        outcome
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match (&self.rest, &self.device) {
            (Some(rest), _) => rest.poll_timeout(),
            (None, device) => device.as_ref().and_then(Device::poll_timeout),
        }
    }
}

/// A device that has been somebody with values, attributes, observations and open requests.
fn used(profile: Arc<Profile>) -> Device {
    let mut lab = Lab::registered(profile_named(&profile));
    lab.submit(&get("/3").observe(0).token(b"old1"));
    lab.submit(&get("/4/0/2").observe(0).token(b"old2"));
    lab.submit(&put("/3?pmin=3&pmax=5"));
    lab.submit(&post("/3442/0/1"));
    lab.set("/3303/0/5700", Value::Float(-12.5));
    lab.device.update(lab.now);
    lab.device.clone()
}

fn profile_named(profile: &Arc<Profile>) -> Profile {
    Profile { prefix: "lab-".to_owned(), ..Profile::clone(profile) }
}

/// What happens to the device.
#[derive(Debug, Clone)]
enum Act {
    Pass(u64),
    Ask(usize),
    /// The server answers the oldest message that it has not answered.
    Answer(usize),
    Warm(i32),
    Notify,
    Update,
    Reboot,
    Deregister,
    Register,
    Garbage(Vec<u8>),
}

fn asks() -> Vec<Ask> {
    let observe = |target: &str, token: &[u8]| get(target).observe(0).token(token);
    vec![
        get("/3/0/9"),
        get("/3303/0"),
        get("/1/0/1").accept(0),
        observe("/3303/0/5700", b"a"),
        observe("/3303/0", b"bb"),
        observe("/3303/0/5700", b"a").accept(110),
        get("/3303/0/5700").observe(1).token(b"a"),
        ask(Code::FETCH, "/").with(112, b"\x81\xa1\x00\x6b/3303/0/5700").observe(0).token(b"m"),
        put("/3303/0/5700?pmin=2&pmax=9"),
        put("/3303/0/5700?st=0.5"),
        put("/3303/0/5700?pmin&pmax&st"),
        put("/1/0/1").with(0, "60"),
        put("/1/0/3").with(0, "7"),
        put("/3/0/14").with(0, "+02:00"),
        post("/3/0/4"),
        post("/1/0/8"),
        post("/3303/0/5605"),
        post("/3442/0/1"),
        post("/3442/0/3").with(0, "0='a'"),
        post("/3442/0/5"),
        post("/3303").with(110, r#"[{"bn":"/3303/7/","n":"5700","v":3}]"#),
        ask(Code::DELETE, "/3303/7"),
        put("/5/0/1").with(0, "coap://firmware"),
        post("/5/0/2"),
        get("/").accept(40),
        put("/5/0/0").with(42, [7; 16]).block(OptionNumber::BLOCK1, (0, true, 16)),
        get("/3442/0").block(OptionNumber::BLOCK2, (0, false, 16)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..400_000_000_u64).prop_map(Act::Pass),
        3 => (0..20_000_u64).prop_map(Act::Pass),
        10 => (0..asks().len()).prop_map(Act::Ask),
        10 => (0..6_usize).prop_map(Act::Answer),
        6 => (-40..40_i32).prop_map(Act::Warm),
        1 => Just(Act::Notify),
        2 => Just(Act::Update),
        1 => Just(Act::Reboot),
        1 => Just(Act::Deregister),
        1 => Just(Act::Register),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Act::Garbage),
    ]
}

/// The two devices and their server.
struct Twins {
    plain: Device,
    sleeper: Sleeper,
    now: Instant,
    next_id: u16,
    /// Messages that want an answer.
    open: Vec<Seen>,
}

impl Twins {
    fn new(profile: Profile) -> Self {
        let profile = profile_named(&Arc::new(profile)).into_shared();
        let now = Instant::from_micros(5_000_000);
        let habits = profile.habits();
        let device =
            || Device::with_habits(Name::Numbered(1), Arc::clone(&profile), habits, 7, now);
        let sleeper = Sleeper::new(device(), Arc::clone(&profile));
        let mut twins = Self { plain: device(), sleeper, now, next_id: 0, open: Vec::new() };
        twins.both(|_, _| {});
        twins
    }

    /// Gives both the same input, and compares what they say and do.
    fn both(&mut self, input: impl Fn(&mut Device, Instant)) {
        let now = self.now;
        let said = |device: &mut Device| {
            input(device, now);
            let events: Vec<_> = std::iter::from_fn(|| device.poll_event()).collect();
            let mut datagrams = Vec::new();
            let mut datagram = Vec::new();
            while device.poll_transmit(&mut datagram).is_some() {
                datagrams.push(std::mem::take(&mut datagram));
            }
            let warmth = device.value(&path("/3303/0/5700")).cloned();
            let names = (device.endpoint(), device.location());
            let counts = (device.take_repetitions(), device.observation_count());
            (events, datagrams, warmth, names, counts, device.is_engaged())
        };
        let first = said(&mut self.plain);
        let second = self.sleeper.with(said);
        assert_eq!(first, second);
        let messages = first.1.iter().map(|datagram| Seen::of(datagram));
        self.open.extend(messages.filter(|message| message.kind != Type::Acknowledgement));
        let (plain, sleeper) = (self.plain.poll_timeout(), self.sleeper.poll_timeout());
        // It may be woken earlier, to forget something, but never later.
        assert!(plain.is_none() || sleeper.is_some_and(|at| Some(at) <= plain), "{plain:?}");
    }

    fn pass(&mut self, until: Instant) {
        loop {
            let due = [self.plain.poll_timeout(), self.sleeper.poll_timeout()];
            let due = due.into_iter().flatten().min().filter(|due| *due <= until);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            self.both(|device, now| device.handle_timeout(now));
        }
        self.now = until;
    }

    fn hear(&mut self, datagram: &[u8]) {
        self.both(|device, now| device.handle_datagram(now, datagram));
    }

    fn act(&mut self, act: Act) {
        let warmth = path("/3303/0/5700");
        match act {
            Act::Pass(micros) => self.pass(self.now + Duration::from_micros(micros)),
            Act::Ask(index) => {
                self.next_id = self.next_id.wrapping_add(1);
                let datagram = encoded(&asks()[index], self.next_id);
                self.hear(&datagram);
                if self.next_id.is_multiple_of(3) {
                    self.hear(&datagram);
                }
            }
            Act::Answer(manner) if !self.open.is_empty() => {
                let message = self.open.remove(0);
                let datagram = answered(&message, manner);
                self.hear(&datagram);
            }
            Act::Answer(_) => {}
            Act::Warm(degrees) => {
                let value = Value::Float(f64::from(degrees) / 4.0);
                self.both(|device, now| device.set_value(now, warmth, value.clone()));
            }
            Act::Notify => self.both(|device, now| device.notify(now, warmth)),
            Act::Update => self.both(Device::update),
            Act::Reboot => self.both(Device::reboot),
            Act::Deregister => self.both(Device::deregister),
            Act::Register => self.both(Device::register),
            Act::Garbage(bytes) => self.hear(&bytes),
        }
    }
}

fn encoded(ask: &Ask, id: u16) -> Vec<u8> {
    let mut datagram = Vec::new();
    let (token, options) = (Token::new(&ask.token).unwrap(), ask.options.options());
    let id = MessageId::new(id);
    Message { kind: ask.kind, code: ask.code, id, token, options, payload: &ask.payload }
        .encode(&mut datagram);
    datagram
}

/// What a server says to a message of the device.
fn answered(message: &Seen, manner: usize) -> Vec<u8> {
    let (kind, id) = (Type::Acknowledgement, message.id);
    let (code, options) = match (message.code.is_request(), manner) {
        (_, 0) => {
            let [high, low] = id.value().to_be_bytes();
            return vec![0x70, 0, high, low];
        }
        (false, _) | (true, 1) => {
            let [high, low] = id.value().to_be_bytes();
            return vec![0x60, 0, high, low];
        }
        (true, 2) => (Code::NOT_FOUND, OptionList::new()),
        (true, _) if message.segments(OptionNumber::URI_PATH) == "/rd" => created(),
        (true, _) => changed(),
    };
    let mut datagram = Vec::new();
    Message { kind, code, id, token: message.token, options: options.options(), payload: &[] }
        .encode(&mut datagram);
    datagram
}

fn profiles() -> Vec<Profile> {
    let after = Duration::from_millis(700);
    let answers = Answers::Separate { after, reliability: Reliability::Confirmable };
    vec![
        profile(),
        Profile { notifications: Reliability::Confirmable, ..profile() },
        Profile { answers, update_every: Some(Duration::from_secs(50)), ..profile() },
        Profile::like_leshan(models()),
        Profile { epoch_ms: Some(1_700_000_000_000), ..Profile::like_anjay(models()) },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_device_that_rests_behaves_as_one_that_does_not(
        which in 0..5_usize,
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut twins = Twins::new(profiles().swap_remove(which));
        for act in acts {
            twins.act(act);
        }
        twins.pass(twins.now + Duration::from_secs(600));
    }
}

#[test]
fn a_device_that_is_registered_and_observed_rests_in_little_memory() {
    assert!(size_of::<Rest>() <= 136, "{}", size_of::<Rest>());
    let mut twins = Twins::new(Profile { lifetime: Some(86_400), ..profile() });
    twins.act(Act::Answer(3));
    twins.act(Act::Ask(3));
    twins.act(Act::Warm(50));
    assert!(twins.sleeper.rests >= 2);
    // Until the answer to Observe is forgotten, it remembers it.
    twins.pass(twins.now + Duration::from_secs(248));
    let rest = twins.sleeper.rest.take().expect("it rests");
    assert!(rest.is_registered() && rest.owns_nothing(), "{rest:?}");
    let update = rest.poll_timeout().expect("it updates some time");
    assert!(update > twins.now);
}

#[test]
fn a_step_is_counted_from_what_was_told_before_the_rest() {
    let mut twins = Twins::new(profile());
    let step = asks().iter().position(|ask| ask.options == put("/3303/0/5700?st=0.5").options);
    for act in [Act::Answer(3), Act::Ask(3), Act::Warm(10), Act::Ask(step.unwrap()), Act::Warm(11)]
    {
        twins.act(act);
    }
    assert!(twins.sleeper.rests >= 4);
    let told = twins.open.iter().filter(|message| message.observe().is_some()).count();
    assert_eq!(told, 1, "a quarter of a degree is no step");
}

#[test]
fn who_waits_for_something_does_not_rest() {
    let mut registering = Lab::new(profile());
    assert!(registering.device.rest().is_none(), "its Register waits to leave");
    registering.one();
    assert!(registering.device.rest().is_none(), "nobody answered");
    let mut lab = Lab::registered(Profile { notifications: Reliability::Confirmable, ..profile() });
    lab.ask(get("/3303/0/5700").observe(0));
    assert!(lab.device.rest().is_none(), "nobody took the event");
    lab.events();
    lab.set("/3303/0/5700", Value::Float(1.0));
    lab.events();
    let told = lab.one();
    assert!(lab.device.rest().is_none(), "nobody acknowledged");
    lab.empty(Type::Acknowledgement, &told);
    lab.events();
    assert!(lab.device.rest().is_some());
}
