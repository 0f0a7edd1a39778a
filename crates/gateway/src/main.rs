//! The program `lwm2m-gateway`: command line, log, start, signals, stop.

use std::io::{self, Write};
use std::process::ExitCode;

use gateway::cli::{self, Exit, Task};
use gateway::config::Loaded;
use gateway::service::{Addresses, Service};
use gateway::telemetry;
use lwm2m::EndpointName;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments = std::env::args_os();
    let environment = std::env::vars_os().collect();
    match cli::prepare(arguments, environment, &mut io::stdout(), &mut io::stderr()) {
        Task::Exit(exit) => exit.into(),
        Task::Serve { loaded, demo } => serve(&loaded, demo).into(),
    }
}

fn serve(loaded: &Loaded, demo: usize) -> Exit {
    if let Err(error) = telemetry::install(&loaded.config.log) {
        eprintln!("error: {error}");
        return Exit::Configuration;
    }
    for warning in &loaded.warnings {
        tracing::warn!(event = "setting_without_effect", "{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(run(loaded, demo));
            // A task that is still busy must not keep the process from ending.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            tracing::error!(event = "start_failed", %error);
            Exit::Failure
        }
    }
}

async fn run(loaded: &Loaded, demo: usize) -> Exit {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        tracing::error!(event = "start_failed", "signals cannot be received");
        return Exit::Failure;
    };
    let mut service = match Service::start_from(loaded, demo).await {
        Ok(service) => service,
        Err(error) => {
            tracing::error!(event = "start_failed", "{error}");
            return Exit::Failure;
        }
    };
    let addresses = service.addresses();
    tracing::info!(event = "started", version = env!("CARGO_PKG_VERSION"), ?addresses);
    let name = EndpointName::parse(if demo > 0 { "demo-1" } else { "my-device" });
    let commands = name.map(|name| service.command_topic(&name)).unwrap_or_default();
    greet(addresses, &commands);
    let failed = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = service.failed() => true,
    };
    let left = service.stop().await;
    match (failed, left) {
        (true, _) => Exit::Failure,
        (false, 0) => Exit::Clean,
        (false, _) => Exit::EventsLeft,
    }
}

/// Tells a newcomer where everything is and what to try, with a topic that takes commands. Whoever
/// closed standard output did not want to know.
fn greet(addresses: &Addresses, commands: &str) {
    let mut text = format!("lwm2m-gateway {}\n", env!("CARGO_PKG_VERSION"));
    for (name, address) in &addresses.coap {
        text += &format!("  CoAP  coap://{address} (listener {name})\n");
    }
    text += &format!("  MQTT  {}\n", addresses.mqtt);
    if let Some(http) = addresses.http {
        text += &format!("  HTTP  http://{http}/health and /metrics\n");
    }
    if let Some(broker) = addresses.broker {
        let port = broker.port();
        let read = r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0"}}"#;
        let observe = r#"{"reqID":2,"msgType":"observe","data":{"path":"/3303/0/5700"}}"#;
        text += "Try:\n";
        text += &format!("  mosquitto_sub -p {port} -t '#' -v\n");
        text += &format!("  mosquitto_pub -p {port} -t '{commands}' -m '{read}'\n");
        text += &format!("  mosquitto_pub -p {port} -t '{commands}' -m '{observe}'\n");
    }
    if let Some((_, address)) = addresses.coap.first() {
        let port = address.port();
        text += &format!(
            "A device registers with the address of this machine, port {port}, no security.\n"
        );
    }
    let _ = io::stdout().write_all(text.as_bytes());
}
