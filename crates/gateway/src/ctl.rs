//! `lwm2m-gateway ctl`: a running gateway from the command line, by its REST API.
//!
//! Requests are made in `client`, answers brought into lines in `show`; whatever this can do,
//! the API can. Exit codes are those of [`crate::cli::Exit`].

mod client;
mod show;

use std::io::Write;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::client::{Client, CtlError, escaped};
use crate::cli::Exit;

/// What is asked of a running gateway.
#[derive(Debug, Args)]
pub struct Ctl {
    #[command(flatten)]
    access: Access,
    /// Print the answers of the API as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Where the gateway is, and who asks.
#[derive(Debug, Args)]
struct Access {
    /// Where the HTTP server of the gateway is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "LWM2M_GATEWAY_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// Name of an API key
    #[arg(long, global = true, value_name = "NAME", env = "LWM2M_GATEWAY_KEY")]
    key: Option<String>,
    /// Its secret; better given by the environment, for others see command lines
    #[arg(
        long,
        global = true,
        value_name = "SECRET",
        env = "LWM2M_GATEWAY_SECRET",
        hide_env_values = true
    )]
    secret: Option<String>,
    /// The token, instead of a key
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "LWM2M_GATEWAY_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How the gateway is
    Status,
    /// List, show or kick devices
    Devices {
        #[command(subcommand)]
        action: Devices,
    },
    /// Read an object, instance, resource or resource instance
    Read(Target),
    /// Write a resource
    Write {
        #[command(flatten)]
        target: Target,
        /// The value
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Its type; without it the one in the object definition
        #[arg(long = "type", value_name = "TYPE")]
        data_type: Option<String>,
    },
    /// Execute a resource
    Execute {
        #[command(flatten)]
        target: Target,
        /// Arguments, such as 0='text'
        arguments: Option<String>,
    },
    /// Observe a path; notifications are published on MQTT
    Observe {
        #[command(flatten)]
        target: Target,
        /// End the observation
        #[arg(long)]
        off: bool,
    },
    /// Ask which resources there are
    Discover(Target),
    /// Send any command of docs/mqtt.md, as JSON with msgType and data
    Send {
        /// Endpoint name
        device: String,
        /// The command
        command: String,
        /// Wait at most this many seconds for the answer
        #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT)]
        timeout: u32,
    },
    /// List, add or remove listeners
    Listeners {
        #[command(subcommand)]
        action: Listeners,
    },
    /// List object definitions, or show one
    Objects {
        /// The object's number
        id: Option<u16>,
    },
}

#[derive(Debug, Subcommand)]
enum Devices {
    /// List devices
    List {
        /// Those with this in their name
        name: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
    },
    /// What is known of a device
    Show {
        /// Endpoint name
        device: String,
    },
    /// End the registration of a device
    Kick {
        /// Endpoint name
        device: String,
    },
}

#[derive(Debug, Subcommand)]
enum Listeners {
    /// List listeners
    List,
    /// Add a listener
    Add {
        /// A name
        name: String,
        /// Address and port
        address: String,
    },
    /// Remove a listener; registrations of its devices end
    Remove {
        /// Its name, or id as in lwm2m:udp:NAME
        name: String,
    },
}

#[derive(Debug, Args)]
struct Target {
    /// Endpoint name
    device: String,
    /// A path, such as /3/0/0
    path: String,
    /// Wait at most this many seconds for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT)]
    timeout: u32,
}

/// What a device without queue mode takes at most (`lwm2m.command_timeout`).
const TIMEOUT: u32 = 120;

/// How long one request waits at most. The gateway may cut it shorter.
const WAIT: u32 = 20;

/// How often it is looked whether a command has ended, once the request has not waited for it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Does what is asked.
pub fn run(ctl: Ctl, out: &mut dyn Write, errors: &mut dyn Write) -> Exit {
    let Ctl { access, json, command } = ctl;
    let done = Client::new(&access).and_then(|client| {
        let session = Session { client, json };
        let text = session.run(command)?;
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CtlError::Output)
    });
    match done {
        Ok(()) => Exit::Clean,
        Err(error) => {
            let _ = writeln!(errors, "error: {error}");
            error.exit()
        }
    }
}

struct Session {
    client: Client,
    json: bool,
}

impl Session {
    fn run(&self, command: Command) -> Result<String, CtlError> {
        match command {
            Command::Status => self.show(&self.client.get("")?, show::status),
            Command::Devices { action } => self.devices(action),
            Command::Read(target) => self.order(&target, "read", json!({})),
            Command::Discover(target) => self.order(&target, "discover", json!({})),
            Command::Execute { target, arguments } => {
                let data = arguments.map_or_else(|| json!({}), |args| json!({"args": args}));
                self.order(&target, "execute", data)
            }
            Command::Observe { target, off } => {
                self.order(&target, if off { "cancel-observe" } else { "observe" }, json!({}))
            }
            Command::Write { target, value, data_type } => {
                let data_type = match data_type {
                    Some(given) => given,
                    None => self.defined_type(&target.path)?,
                };
                self.order(&target, "write", json!({"type": data_type, "value": value}))
            }
            Command::Send { device, command, timeout } => {
                let command = serde_json::from_str(&command)
                    .map_err(|error| CtlError::Usage(format!("the command is no JSON: {error}")))?;
                self.send(&device, &command, timeout)
            }
            Command::Listeners { action } => self.listeners(action),
            Command::Objects { id: None } => {
                self.show(&self.client.get("/lwm2m/objects")?, show::objects)
            }
            Command::Objects { id: Some(id) } => {
                self.show(&self.client.get(&format!("/lwm2m/objects/{id}"))?, show::object)
            }
        }
    }

    fn show(&self, answer: &Value, lines: fn(&Value) -> String) -> Result<String, CtlError> {
        Ok(if self.json { show::json(answer) } else { lines(answer) })
    }

    fn devices(&self, action: Devices) -> Result<String, CtlError> {
        match action {
            Devices::List { name, limit } => self.list(name.as_deref(), limit),
            Devices::Show { device } => {
                let path = format!("/lwm2m/clients/{}", escaped(&device));
                self.show(&self.client.get(&path)?, show::device)
            }
            Devices::Kick { device } => {
                self.client.delete(&format!("/lwm2m/clients/{}", escaped(&device)))?;
                Ok(String::new())
            }
        }
    }

    /// Page by page, so that a million devices are no single answer.
    fn list(&self, name: Option<&str>, limit: usize) -> Result<String, CtlError> {
        let filter =
            name.map(|part| format!("&like_clientid={}", escaped(part))).unwrap_or_default();
        let mut rows = Vec::new();
        let mut cursor = "0.0".to_owned();
        while rows.len() < limit {
            let page = (limit - rows.len()).min(1_000);
            let path = format!("/lwm2m/clients?limit={page}&cursor={cursor}{filter}");
            let mut answer = self.client.get(&path)?;
            if let Some(Value::Array(more)) = answer.get_mut("data").map(Value::take) {
                rows.extend(more);
            }
            match answer["meta"]["cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        self.show(&Value::Array(rows), show::devices)
    }

    fn listeners(&self, action: Listeners) -> Result<String, CtlError> {
        match action {
            Listeners::List => self.show(&self.client.get("/lwm2m/listeners")?, show::listeners),
            Listeners::Add { name, address } => {
                let body = json!({"type": "udp", "name": name, "bind": address});
                let added = self.client.post("/lwm2m/listeners", Some(&body))?;
                self.show(&Value::Array(vec![added]), show::listeners)
            }
            Listeners::Remove { name } => {
                let id = if name.contains(':') { name } else { format!("lwm2m:udp:{name}") };
                self.client.delete(&format!("/lwm2m/listeners/{}", escaped(&id)))?;
                Ok(String::new())
            }
        }
    }

    fn order(&self, target: &Target, message: &str, mut data: Value) -> Result<String, CtlError> {
        data["path"] = target.path.clone().into();
        let command = json!({"msgType": message, "data": data});
        self.send(&target.device, &command, target.timeout)
    }

    /// Sends a command and waits for its end.
    fn send(&self, device: &str, command: &Value, timeout: u32) -> Result<String, CtlError> {
        let deadline = Instant::now() + Duration::from_secs(timeout.into());
        let client = format!("/lwm2m/clients/{}", escaped(device));
        let path = format!("{client}/command?wait={}", timeout.min(WAIT));
        let mut end = self.client.post(&path, Some(command))?;
        while !show::has_ended(&end) && Instant::now() < deadline {
            std::thread::sleep(LOOK_AGAIN);
            let text = |member: &str| escaped(end[member].as_str().unwrap_or_default());
            let (path, action) = (text("path"), text("action"));
            end = self.client.get(&format!("{client}/lookup?path={path}&action={action}"))?;
        }
        match show::failure(&end) {
            None => self.show(&end, show::end),
            Some(error) => Err(error),
        }
    }

    /// The type of a resource by its object definition.
    fn defined_type(&self, path: &str) -> Result<String, CtlError> {
        let unknown = || {
            CtlError::Usage(format!("{path} has no definition: give the type of the value, --type"))
        };
        let mut ids = path.split('/').filter(|id| !id.is_empty());
        let (object, resource) = (ids.next().ok_or_else(unknown)?, ids.nth(1));
        let resource: u64 = resource.and_then(|id| id.parse().ok()).ok_or_else(unknown)?;
        let versions = match self.client.get(&format!("/lwm2m/objects/{}", escaped(object))) {
            Err(CtlError::Refused { status: 404, .. }) => return Err(unknown()),
            other => other?,
        };
        let latest = versions.as_array().and_then(|versions| versions.last());
        let resources = latest.and_then(|object| object["resources"].as_array());
        let found = resources.into_iter().flatten().find(|found| found["id"] == resource);
        let name = found.and_then(|found| found["dataType"].as_str()).filter(|n| !n.is_empty());
        name.map(str::to_owned).ok_or_else(unknown)
    }
}
