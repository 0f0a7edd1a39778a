//! What sockets and kernel cost on this machine, at the rates of the other scenarios.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::notify::PER_SECOND;
use super::register::RAMP;
use super::{Scale, Take};
use crate::agent::{self, Agent};
use crate::floor::{Flood, Floor, flood, receive};
use crate::mosquitto::{self, Mosquitto};
use crate::problem::{Context, Outcome};
use crate::proc;
use crate::report::{Row, micros_each};
use crate::rig::Bench;

/// What a flow moves: bytes as the fleet and the gateway have them.
struct Flow {
    name: &'static str,
    rate: u64,
    datagram: usize,
    reply: Option<usize>,
    publish: Option<usize>,
}

const FLOWS: [Flow; 4] = [
    Flow { name: "receive", rate: PER_SECOND, datagram: 30, reply: None, publish: None },
    Flow { name: "notify-non", rate: PER_SECOND, datagram: 30, reply: None, publish: Some(150) },
    Flow { name: "notify-con", rate: PER_SECOND, datagram: 30, reply: Some(4), publish: Some(150) },
    Flow { name: "register", rate: RAMP, datagram: 150, reply: Some(20), publish: Some(300) },
];

pub(super) fn floors(bench: &Bench, scale: Scale, take: Take<'_>) -> Outcome<()> {
    let directory = bench.work.join("floor");
    std::fs::create_dir_all(&directory).context(|| directory.display().to_string())?;
    let broker = match mosquitto::program() {
        Some(_) => Some(Mosquitto::start(&bench.placement, &directory, None)?),
        None => None,
    };
    let broker = broker.as_ref().map(|broker| broker.address);
    for flow in FLOWS.iter().filter(|flow| flow.publish.is_none() || broker.is_some()) {
        take(one(bench, scale, flow, broker)?);
    }
    Ok(())
}

fn one(bench: &Bench, scale: Scale, flow: &Flow, broker: Option<SocketAddr>) -> Outcome<Row> {
    let log = |name: &str| bench.work.join("floor").join(format!("{}-{name}.log", flow.name));
    let placement = &bench.placement;
    let broker = broker.filter(|_| flow.publish.is_some());
    let options =
        receive::Options { reply: flow.reply, broker, publish: flow.publish.unwrap_or(0) };
    let mut floor = Floor::start(placement, &log("floor"), &options)?;
    let options = |broker| Agent::start(placement, &log("agent"), &agent::Options::new(broker));
    let mut agent = broker.map(options).transpose()?;
    let options = flood::Options { to: floor.udp, rate: flow.rate, size: flow.datagram };
    let flood = Flood::start(placement, &log("flood"), &options)?;
    thread::sleep(scale.warm_up());
    let mut look = || -> Outcome<(Instant, Duration, Duration, u64)> {
        let count = match &mut agent {
            Some(agent) => agent.look()?.counts.notify,
            None => floor.received()?,
        };
        Ok((Instant::now(), proc::cpu_time(floor.pid())?, proc::cpu_time(flood.pid())?, count))
    };
    let from = look()?;
    thread::sleep(scale.window());
    let to = look()?;
    let seconds = (to.0 - from.0).as_secs_f64();
    let cpu = to.1.saturating_sub(from.1);
    let operations = to.3 - from.3;
    Ok(Row {
        scenario: flow.name.to_owned(),
        server: "floor".to_owned(),
        broker: if broker.is_some() { "mosquitto" } else { "none" }.to_owned(),
        operations,
        seconds,
        cpu_us: micros_each(cpu, operations),
        server_load: Some(cpu.as_secs_f64() / seconds),
        others_load: to.2.saturating_sub(from.2).as_secs_f64() / seconds,
        ..Row::default()
    })
}
