//! Devices on real sockets: a task, a socket and a `device::Device` each, told what to do by tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use device::{Device, Event, Profile};
use engine::Instant;
use lwm2m::{Models, Path, Value, Version};
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// A running device. Dropping it lets it fall silent for ever.
pub(crate) struct Node {
    pub(crate) name: String,
    actions: mpsc::UnboundedSender<Action>,
    view: Arc<Mutex<View>>,
    task: tokio::task::JoinHandle<()>,
}

/// What can be seen of a device from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) is_registered: bool,
    /// Whether it has fallen silent.
    pub(crate) is_silent: bool,
    pub(crate) observations: usize,
    pub(crate) events: Vec<Event>,
    /// Datagrams that reached its socket, those that it did not hear too.
    pub(crate) received: usize,
}

/// Something to do on a device.
type Deed = Box<dyn FnOnce(&mut Device, Instant) + Send>;

enum Action {
    Do(Deed),
    NewPort,
    Silence,
}

/// The resource whose value tests count up: an Integer of the test object.
pub(crate) const COUNTER: Path = Path::resource(3442, 0, 120);

/// What a device of these tests is like.
pub(crate) fn profile(change: impl FnOnce(&mut Profile)) -> Arc<Profile> {
    let mut profile = Profile::new(Version::V1_1, Arc::new(Models::builtin()));
    change(&mut profile);
    profile.into_shared()
}

impl Node {
    /// A device that registers at once.
    pub(crate) async fn start(name: &str, server: SocketAddr, profile: Arc<Profile>) -> Self {
        let (actions, orders) = mpsc::unbounded_channel();
        let view = Arc::new(Mutex::new(View::default()));
        let origin = std::time::Instant::now();
        let seed = name.bytes().fold(7, |hash: u64, byte| hash * 31 + u64::from(byte));
        let body = Body {
            device: Device::new(name, profile, seed ^ random(), Instant::from_micros(0)),
            server,
            socket: socket().await,
            origin,
            view: Arc::clone(&view),
            silent: false,
        };
        let task = tokio::spawn(body.live(orders));
        Self { name: name.to_owned(), actions, view, task }
    }

    /// Starts `count` devices `PREFIX-0`, `PREFIX-1`, ...
    pub(crate) async fn fleet(
        prefix: &str,
        count: usize,
        server: SocketAddr,
        profile: &Arc<Profile>,
    ) -> Vec<Self> {
        let mut nodes = Vec::with_capacity(count);
        for number in 0..count {
            let name = format!("{prefix}-{number}");
            nodes.push(Self::start(&name, server, Arc::clone(profile)).await);
        }
        nodes
    }

    /// Does something on the device.
    pub(crate) fn act(&self, action: impl FnOnce(&mut Device, Instant) + Send + 'static) {
        // A node that has ended took its panic to the log.
        let _ = self.actions.send(Action::Do(Box::new(action)));
    }

    /// Moves to a new socket, and so to a new port, as behind a NAT that forgot.
    pub(crate) fn change_port(&self) {
        let _ = self.actions.send(Action::NewPort);
    }

    /// Neither hears nor says anything any more when this returns.
    pub(crate) async fn fall_silent(&self) {
        let _ = self.actions.send(Action::Silence);
        while !self.view.lock().is_silent {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sets the counting resource, which notifies those who observe it.
    pub(crate) fn count_to(&self, number: i64) {
        self.act(move |device, now| device.set_value(now, COUNTER, Value::Integer(number)));
    }

    pub(crate) fn view(&self) -> View {
        self.view.lock().clone()
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.view.lock().is_registered
    }

    /// How often something happened on the device.
    pub(crate) fn happened(&self, is_so: impl Fn(&Event) -> bool) -> usize {
        self.view.lock().events.iter().filter(|event| is_so(event)).count()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Body {
    device: Device,
    server: SocketAddr,
    socket: UdpSocket,
    origin: std::time::Instant,
    view: Arc<Mutex<View>>,
    silent: bool,
}

impl Body {
    async fn live(mut self, mut orders: mpsc::UnboundedReceiver<Action>) {
        let mut buffer = vec![0; 2048];
        loop {
            self.settle().await;
            let wait = self.device.poll_timeout().map_or(Duration::from_secs(3600), |at| {
                Duration::from_micros(at.as_micros().saturating_sub(self.now().as_micros()))
            });
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    // An error is the news that the server was away.
                    if let Ok((length, _)) = received {
                        self.view.lock().received += 1;
                        self.hear(&buffer[..length]);
                    }
                }
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                () = tokio::time::sleep(wait) => {
                    let now = self.now();
                    self.device.handle_timeout(now);
                }
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.origin.elapsed().as_micros()).unwrap())
    }

    fn hear(&mut self, datagram: &[u8]) {
        if !self.silent {
            let now = self.now();
            self.device.handle_datagram(now, datagram);
        }
    }

    async fn obey(&mut self, order: Action) {
        match order {
            Action::Do(action) => {
                let now = self.now();
                action(&mut self.device, now);
            }
            Action::NewPort => self.socket = socket().await,
            Action::Silence => {
                self.silent = true;
                self.view.lock().is_silent = true;
            }
        }
    }

    async fn settle(&mut self) {
        let mut datagram = Vec::new();
        while self.device.poll_transmit(&mut datagram).is_some() {
            if !self.silent {
                // A server that is away is part of some tests.
                let _ = self.socket.send_to(&datagram, self.server).await;
            }
            datagram.clear();
        }
        let mut view = self.view.lock();
        while let Some(event) = self.device.poll_event() {
            view.events.push(event);
        }
        view.is_registered = self.device.is_registered();
        view.observations = self.device.observation_count();
    }
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Two devices of the same name must not choose the same tokens and message ids.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
