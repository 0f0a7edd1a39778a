//! A gateway with a directory of its own, an application that hears everything, and devices made
//! of bytes.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway::config::{self, Sources};
use gateway::control::{Control, ListenerState};
use gateway::service::Service;

use crate::mqtt::{Received, V5, until};
use crate::raw;

/// A gateway that can be started again.
pub(crate) struct Rig {
    directory: PathBuf,
    pub(crate) service: Service,
    pub(crate) app: V5,
}

impl Rig {
    /// Starts a gateway with two shards, whose configuration file has these lines besides.
    pub(crate) async fn start(settings: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lwm2m-gateway-run-time-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        // What a former process of this number left.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let head = format!(
            "data_dir = {:?}\nshards = 2\nhttp.enabled = false\n\
             mqtt.embedded.bind = \"127.0.0.1:0\"\n",
            directory.join("data")
        );
        std::fs::write(directory.join("gateway.toml"), head + settings).unwrap();
        let (service, app) = run(&directory, &[]).await.unwrap();
        Self { directory, service, app }
    }

    /// Stops it, and starts it with the same files; these environment variables are set then.
    pub(crate) async fn restart_with(self, environment: &[(&str, &str)]) -> Self {
        let Self { directory, service, app } = self;
        drop(app);
        assert_eq!(service.stop().await, 0);
        let (service, app) = run(&directory, environment).await.unwrap();
        Self { directory, service, app }
    }

    pub(crate) async fn restart(self) -> Self {
        self.restart_with(&[]).await
    }

    pub(crate) async fn stop(self) {
        drop(self.app);
        assert_eq!(self.service.stop().await, 0);
        let _ = std::fs::remove_dir_all(&self.directory);
    }

    pub(crate) fn control(&self) -> &Control {
        self.service.control()
    }

    /// Where a listener takes datagrams.
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        match self.control().listener(listener).map(|status| status.state) {
            Some(ListenerState::Running { address }) => address,
            state => panic!("{listener}: {state:?}"),
        }
    }

    /// What `overrides.toml` holds.
    pub(crate) fn overrides(&self) -> String {
        std::fs::read_to_string(self.directory.join("data/overrides.toml")).unwrap_or_default()
    }

    /// The next message of the gateway of this type.
    pub(crate) async fn topic_of(&self, from: usize, kind: &str) -> Received {
        let kind = format!("\"msgType\":\"{kind}\"");
        let found = || {
            let mut all = self.app.received_from(from).into_iter();
            all.find(|message| message.payload.contains(&kind) && message.topic.contains("/up/"))
        };
        until(&kind, || found().is_some()).await;
        found().unwrap()
    }

    /// Registers a device, and returns its topic.
    pub(crate) async fn register(&self, listener: &str, name: &str) -> (Device, String) {
        let from = self.app.received().len();
        let device = Device::at(self.address(listener), name);
        assert_eq!(device.register("lt=300").code, raw::CREATED);
        let message = self.topic_of(from, "register").await;
        (device, message.topic)
    }

    /// A number of the metrics page.
    pub(crate) fn metric(&self, sample: &str) -> u64 {
        let page = self.service.metrics().page();
        let line = page.lines().find_map(|line| line.strip_prefix(sample));
        let number = line.unwrap_or_else(|| panic!("{sample} is not on the page: {page}"));
        number.trim().parse::<f64>().unwrap() as u64
    }
}

async fn run(
    directory: &std::path::Path,
    environment: &[(&str, &str)],
) -> Result<(Service, V5), String> {
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let file = Some(directory.join("gateway.toml"));
    let sources = Sources { file, environment, ..Sources::default() };
    let loaded = config::load(&sources).map_err(|error| error.to_string())?;
    let service = Service::start_from(&loaded, 0).await.map_err(|error| error.to_string())?;
    let app = V5::connect(service.addresses().broker.unwrap(), "application");
    app.subscribe("#", 1).await;
    Ok((service, app))
}

/// A device that says what a test tells it to.
pub(crate) struct Device {
    pub(crate) socket: UdpSocket,
    name: String,
}

impl Device {
    pub(crate) fn at(gateway: SocketAddr, name: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(gateway).unwrap();
        Self { socket, name: name.to_owned() }
    }

    /// Registers with this query besides the usual ones.
    pub(crate) fn register(&self, query: &str) -> raw::Answer {
        static ID: AtomicUsize = AtomicUsize::new(1);
        let id = ID.fetch_add(1, Ordering::Relaxed) as u16;
        let name = format!("ep={}", self.name);
        let request = raw::register(id, &[&name, query, "lwm2m=1.0", "b=U"], "</1/0>,</3/0>");
        let (socket, request) = (&self.socket, &request);
        tokio::task::block_in_place(|| raw::ask(socket, request))
    }
}

/// `key = value` lines as the table of a change.
pub(crate) fn table(text: &str) -> toml::Table {
    text.parse().unwrap()
}
