//! The real program in a process of its own: its addresses, numbers, memory, log and end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A directory of a test's own that is gone afterwards.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lwm2m-gateway-e2e-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running gateway. Dropping it kills it; of a test that fails the log is kept.
pub(crate) struct GatewayProcess {
    child: Child,
    pub(crate) coap: SocketAddr,
    /// The embedded broker, or the external one.
    pub(crate) broker: SocketAddr,
    pub(crate) http: SocketAddr,
    log: PathBuf,
    // Held, not read: it must outlive the process.
    _scratch: Option<Scratch>,
}

/// Every address chosen by the system. Sections of a test go behind it, so this ends in the top
/// level of the file.
pub(crate) const ANY_PORTS: &str = r#"
listeners.default.bind = "127.0.0.1:0"
http.bind = "127.0.0.1:0"
mqtt.embedded.bind = "127.0.0.1:0"
log.format = "json"
"#;

impl GatewayProcess {
    /// Starts it with `settings` (TOML, dotted keys) beside [`ANY_PORTS`].
    pub(crate) fn start(settings: &str) -> Self {
        let scratch = Scratch::new();
        let mut gateway = Self::start_in(&scratch, &format!("{ANY_PORTS}{settings}"));
        gateway._scratch = Some(scratch);
        gateway
    }

    /// Starts it with exactly these settings; `data_dir` is in `scratch`.
    pub(crate) fn start_in(scratch: &Scratch, settings: &str) -> Self {
        let log = scratch.path().join("gateway.log");
        let mut child = command(scratch, settings).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut found = HashMap::new();
        while found.len() < 3 {
            let Some(Ok(line)) = lines.next() else {
                let _ = child.wait();
                panic!("the gateway does not start:\n{}", tail(&log));
            };
            for (word, scheme) in [("CoAP", "coap://"), ("MQTT", "mqtt://"), ("HTTP", "http://")] {
                if let Some(rest) = line.trim().strip_prefix(word)
                    && let Some(address) = rest.trim().strip_prefix(scheme)
                {
                    let end = address.find(['/', ' ']).unwrap_or(address.len());
                    found.insert(word, address[..end].parse().unwrap());
                }
            }
        }
        Self {
            child,
            coap: found["CoAP"],
            broker: found["MQTT"],
            http: found["HTTP"],
            log,
            _scratch: None,
        }
    }

    /// The numbers of `/metrics` now.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::read(&get(self.http, "/metrics"))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        signal(self.child.id(), "TERM");
    }

    /// Waits for its end and says its exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        wait(&mut self.child, Duration::from_secs(20))
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = format!("lwm2m-gateway-e2e-failed-{}.log", self.child.id());
            let kept = std::env::temp_dir().join(kept);
            let _ = std::fs::copy(&self.log, &kept);
            if self.is_alive() {
                let page = get(self.http, "/metrics");
                let counted = |line: &&str| !line.starts_with('#') && !line.ends_with(" 0");
                let lines: Vec<_> = page.lines().filter(counted).collect();
                eprintln!("the gateway lives:\n{}", lines.join("\n"));
            }
            eprintln!("its log, {}, ends with:\n{}", kept.display(), tail(&self.log));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with a configuration file of `settings`, its log in `scratch`.
pub(crate) fn command(scratch: &Scratch, settings: &str) -> Command {
    let data = scratch.path().join("data");
    let mut text = String::new();
    if !settings.contains("data_dir") {
        text += &format!("data_dir = {data:?}\n");
    }
    let file = scratch.write("gateway.toml", &(text + settings));
    let log = std::fs::File::create(scratch.path().join("gateway.log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lwm2m-gateway"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LWM2M_GATEWAY") {
            command.env_remove(name);
        }
    }
    command.arg("--config").arg(file).current_dir(scratch.path());
    command.stdout(Stdio::piped()).stderr(log);
    command
}

/// Runs the program until it ends by itself: its exit code and everything it wrote to standard
/// error.
pub(crate) fn run(scratch: &Scratch, settings: &str) -> (Option<i32>, String) {
    let mut child = command(scratch, settings).spawn().expect("the program starts");
    let code = wait(&mut child, Duration::from_secs(20));
    let _ = child.kill();
    let log = std::fs::read_to_string(scratch.path().join("gateway.log")).unwrap();
    (code, log)
}

/// Sends a signal by name.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {process}");
}

/// Waits for the end of a process; `None`: it goes on.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<i32> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn get(server: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(server).expect("the HTTP server listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The numbers of one scrape, by name and labels, without the common prefix.
pub(crate) struct Metrics(HashMap<String, f64>);

impl Metrics {
    fn read(page: &str) -> Self {
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let name = name.strip_prefix("lwm2m_gateway_")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(page.lines().filter_map(sample).collect())
    }

    /// A number; what was never counted is 0.
    pub(crate) fn value(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// A counter with one label.
    pub(crate) fn total(&self, name: &str, label: &str, value: &str) -> u64 {
        self.value(&format!("{name}_total{{{label}=\"{value}\"}}")) as u64
    }
}
