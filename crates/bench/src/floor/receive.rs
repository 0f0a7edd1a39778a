//! Receives in batches, answers if told to, writes one PUBLISH each.

use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::Args;
use udpio::{Poller, RecvBatch, SendBatch, Socket, SocketOptions, Token};

use crate::agent::wire;
use crate::problem::{Context, Outcome};

/// As the gateway's shards have it: what is received, then answered and published, in one go.
const BATCH: usize = 64;

/// As the gateway's listeners have it.
const BUFFER: usize = 4 << 20;

/// What it does with a datagram.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Answer with so many bytes
    #[arg(long)]
    pub(crate) reply: Option<usize>,
    /// Publish at this broker
    #[arg(long)]
    pub(crate) broker: Option<SocketAddr>,
    /// Publish so many bytes
    #[arg(long, default_value_t = 0)]
    pub(crate) publish: usize,
}

impl Options {
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["floor".to_owned(), format!("--publish={}", self.publish)];
        arguments.extend(self.reply.map(|bytes| format!("--reply={bytes}")));
        arguments.extend(self.broker.map(|broker| format!("--broker={broker}")));
        arguments
    }
}

/// Runs until it is killed; prints its address, then on each line of input how much it received.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let sizes = SocketOptions { recv_buffer: Some(BUFFER), ..SocketOptions::default() };
    let socket = udpio::bind((Ipv4Addr::LOCALHOST, 0).into(), &sizes)
        .context(|| "UDP on loopback".to_owned())?;
    println!("{}", socket.local_addr());
    let received = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&received);
    thread::spawn(move || {
        for _ in io::stdin().lock().lines() {
            println!("{}", count.load(Ordering::Relaxed));
        }
    });
    serve(&socket, options, &received)
}

fn serve(socket: &Socket, options: &Options, received: &AtomicU64) -> Outcome<()> {
    let poller = Poller::new()?;
    poller.add(socket, Token(0))?;
    let mut ready = Vec::new();
    let mut batch = RecvBatch::new(BATCH);
    let mut replies = SendBatch::new();
    let reply = vec![0x60; options.reply.unwrap_or(0)];
    let mut broker = options.broker.map(connect).transpose()?;
    let mut publish = Vec::new();
    let payload = vec![b'0'; options.publish];
    wire::publish_out(&mut publish, &[b"lwm2m/sim-123456/up/notify"], &payload);
    let mut out = Vec::new();
    loop {
        poller.wait(None, &mut ready)?;
        while batch.recv(socket)? > 0 {
            for datagram in batch.iter() {
                if options.reply.is_some() {
                    replies.push(datagram.remote, Some(datagram.local), &reply);
                }
                out.extend_from_slice(&publish);
                received.fetch_add(1, Ordering::Relaxed);
            }
            if !replies.is_empty() {
                replies.flush(socket);
            }
            if let Some(broker) = &mut broker {
                broker.write_all(&out)?;
            }
            out.clear();
        }
    }
}

fn connect(broker: SocketAddr) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(broker).context(|| format!("broker {broker}"))?;
    stream.set_nodelay(true)?;
    let mut out = Vec::new();
    wire::connect(&mut out, "floor", wire::Session::Clean);
    stream.write_all(&out)?;
    Ok(stream)
}
