//! Sends datagrams at a rate, from many addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use udpio::{RecvBatch, SendBatch, SocketOptions};

use crate::problem::{Context, Outcome};

/// How often it sends. The simulator's timers are as coarse.
const TICK: Duration = Duration::from_millis(1);

/// The first address that it sends from.
const FIRST: u32 = 0x7f10_0000;

/// How many addresses it sends from, in turn.
const ADDRESSES: u32 = 20_000;

/// What it sends.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where to
    #[arg(long)]
    pub(crate) to: SocketAddr,
    /// Datagrams per second
    #[arg(long)]
    pub(crate) rate: u64,
    /// Bytes of each
    #[arg(long)]
    pub(crate) size: usize,
}

impl Options {
    pub(super) fn arguments(&self) -> Vec<String> {
        let Self { to, rate, size } = self;
        vec![
            "flood".to_owned(),
            format!("--to={to}"),
            format!("--rate={rate}"),
            format!("--size={size}"),
        ]
    }
}

/// Runs until it is killed.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let sizes = SocketOptions {
        recv_buffer: Some(4 << 20),
        send_buffer: Some(4 << 20),
        ..SocketOptions::default()
    };
    let socket =
        udpio::bind((Ipv4Addr::UNSPECIFIED, 0).into(), &sizes).context(|| "UDP".to_owned())?;
    let datagram = vec![0x50; options.size];
    let mut batch = SendBatch::new();
    let mut answers = RecvBatch::new(64);
    let began = Instant::now();
    let mut sent = 0_u64;
    loop {
        let due = began.elapsed().as_micros() as u64 * options.rate / 1_000_000;
        while sent < due {
            let address = FIRST + (sent % u64::from(ADDRESSES)) as u32;
            let from = IpAddr::V4(Ipv4Addr::from(address));
            batch.push(options.to, Some(from), &datagram);
            sent += 1;
        }
        batch.flush(&socket);
        while answers.recv(&socket)? > 0 {}
        thread::sleep(TICK);
    }
}
