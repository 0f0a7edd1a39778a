//! What a fleet does all day allocates nothing: waking a device, notifying, updating, resting.
//!
//! The allocator of this program counts. It has one test, so nobody else is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coap::{Code, Duration, Instant, Message, MessageId, OptionList, Token, Type};
use device::{Device, Habits, Identity, Name, Profile, Reliability, Rest};
use lwm2m::{Models, Path, Value, Version};

/// The system's allocator with a count of what was asked of it.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to `System` unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TEMPERATURE: Path = Path::resource(3303, 0, 5700);

/// A device that rests between its inputs, and the box that it is woken in.
struct Scene {
    profile: Arc<Profile>,
    habits: Habits,
    nobody: Box<Device>,
    rest: Option<Rest>,
    now: Instant,
    out: Vec<u8>,
}

impl Scene {
    /// Registered and observed, with nothing left to forget.
    fn new(notifications: Reliability) -> Self {
        let models = Arc::new(Models::builtin());
        let profile = Profile::new(Version::V1_1, models).into_shared();
        let update_every = Some(Duration::from_secs(100_000));
        let habits = Habits { notifications, update_every, ..profile.habits() };
        let now = Instant::from_micros(1_000_000);
        let shared = Arc::clone(&profile);
        let mut device = Device::with_habits(Name::Numbered(1), shared, habits, 3, now);
        let mut register = Vec::new();
        device.poll_transmit(&mut register);
        let mut location = OptionList::new();
        location.location_path("rd");
        location.location_path("123456789012");
        let Message { id, token, .. } = Message::parse(&register).unwrap();
        let created = (Type::Acknowledgement, Code::CREATED);
        device.handle_datagram(now, &encode(created, (id, token), &location));
        device.handle_datagram(now, &observe());
        let nobody = Box::new(Device::nobody(Arc::clone(&profile)));
        let mut scene =
            Self { profile, habits, nobody, rest: None, now, out: Vec::with_capacity(4096) };
        std::mem::swap(&mut *scene.nobody, &mut device);
        scene.now += Duration::from_secs(300);
        scene.act(Device::handle_timeout);
        assert!(scene.rest.is_some());
        scene
    }

    /// Wakes the device, lets it act and speak, and puts it to rest if it can.
    fn act(&mut self, input: impl FnOnce(&mut Device, Instant)) {
        if let Some(rest) = self.rest.take() {
            let (name, profile, habits) = (Name::Numbered(1), &self.profile, self.habits);
            self.nobody.wake(rest, Identity { name, profile, habits });
        }
        input(&mut self.nobody, self.now);
        while self.nobody.poll_event().is_some() {}
        self.out.clear();
        while self.nobody.poll_transmit(&mut self.out).is_some() {}
        self.rest = self.nobody.rest();
    }

    fn notify(&mut self, degrees: f64) {
        self.now += Duration::from_secs(1);
        let value = Value::Float(degrees);
        self.act(|device, now| device.set_value(now, TEMPERATURE, value));
        assert!(!self.out.is_empty());
    }

    /// The server acknowledges what left last.
    fn acknowledge(&mut self) {
        let [_, _, high, low, ..] = self.out[..] else { panic!("{:?}", self.out) };
        self.act(|device, now| device.handle_datagram(now, &[0x60, 0, high, low]));
    }

    /// An Update leaves and is answered.
    fn update(&mut self) {
        self.now += Duration::from_secs(1);
        self.act(Device::update);
        let mut answer = [0x68, Code::CHANGED.byte(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        answer[2..].copy_from_slice(&self.out[2..12]);
        self.act(|device, now| device.handle_datagram(now, &answer));
    }

    fn rests_in_itself(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.is_registered() && rest.owns_nothing())
    }
}

fn observe() -> Vec<u8> {
    let mut options = OptionList::new();
    options.observe(0);
    for segment in ["3303", "0", "5700"] {
        options.uri_path(segment);
    }
    let names = (MessageId::new(9), Token::new(b"12345678").unwrap());
    encode((Type::NonConfirmable, Code::GET), names, &options)
}

fn encode(head: (Type, Code), names: (MessageId, Token), options: &OptionList) -> Vec<u8> {
    let mut datagram = Vec::new();
    let ((kind, code), (id, token)) = (head, names);
    let options = options.options();
    Message { kind, code, id, token, options, payload: &[] }.encode(&mut datagram);
    datagram
}

/// How many allocations a thing makes when it has been done a few times before.
fn allocations(mut act: impl FnMut(u32)) -> usize {
    (0..20).for_each(&mut act);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (20..520).for_each(&mut act);
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[test]
fn the_daily_work_of_a_fleet_allocates_nothing() {
    let mut scene = Scene::new(Reliability::NonConfirmable);
    assert_eq!(allocations(|round| scene.notify(f64::from(round))), 0, "non-confirmable");
    assert_eq!(allocations(|_| scene.update()), 0, "updates");
    assert!(scene.rests_in_itself());
    let mut scene = Scene::new(Reliability::Confirmable);
    let confirmed = allocations(|round| {
        scene.notify(f64::from(round));
        scene.acknowledge();
    });
    assert_eq!(confirmed, 0, "confirmable");
    assert!(scene.rests_in_itself());
}
