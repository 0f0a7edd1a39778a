//! What sockets and kernel cost on this machine, at the rates of the other scenarios.

use std::thread;
use std::time::Duration;

use super::Take;
use super::notify::PER_SECOND;
use super::register::RAMP;
use crate::agent::{self, Agent};
use crate::floor::{Flood, Floor, flood, receive};
use crate::measure::{Moment, Processes};
use crate::mosquitto::{self, Mosquitto, Storage};
use crate::problem::{Context, Outcome};
use crate::report::Row;
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

pub(super) fn floors(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let directory = bench.work.join("floor");
    std::fs::create_dir_all(&directory).context(|| directory.display().to_string())?;
    let broker = match mosquitto::program() {
        Some(_) => Some(Mosquitto::start(&bench.placement, &directory, Storage::Memory, None)?),
        None => None,
    };
    let broker = broker.as_ref();
    for flow in FLOWS.iter().filter(|flow| flow.publish.is_none() || broker.is_some()) {
        take(one(bench, flow, broker)?);
    }
    Ok(())
}

fn one(bench: &Bench, flow: &Flow, broker: Option<&Mosquitto>) -> Outcome<Row> {
    let log = |name: &str| bench.work.join("floor").join(format!("{}-{name}.log", flow.name));
    let placement = &bench.placement;
    let broker = broker.filter(|_| flow.publish.is_some());
    let address = broker.map(|broker| broker.address);
    let options =
        receive::Options { reply: flow.reply, broker: address, publish: flow.publish.unwrap_or(0) };
    let mut floor = Floor::start(placement, &log("floor"), &options)?;
    let options = |broker| Agent::start(placement, &log("agent"), &agent::Options::new(broker));
    let mut agent = address.map(options).transpose()?;
    let options = flood::Options { to: floor.udp, rate: flow.rate, size: flow.datagram };
    let flood = Flood::start(placement, &log("flood"), &options)?;
    thread::sleep(bench.scale.warm_up());
    let others = [Some(flood.pid()), agent.as_ref().map(Agent::pid), broker.map(Mosquitto::pid)];
    let processes =
        Processes { server: Some(floor.pid()), others: others.into_iter().flatten().collect() };
    let mut count = || match &mut agent {
        Some(agent) => Ok(agent.look()?.counts.notify),
        None => floor.received(),
    };
    let (before, from) = (count()?, Moment::now(&processes)?);
    thread::sleep(bench.scale.window());
    let (after, to) = (count()?, Moment::now(&processes)?);
    Ok(Row {
        scenario: flow.name.to_owned(),
        server: "floor".to_owned(),
        broker: if broker.is_some() { "mosquitto" } else { "none" }.to_owned(),
        ..from.row(&to, after - before, Duration::ZERO)
    })
}
