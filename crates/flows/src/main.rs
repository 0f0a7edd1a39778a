//! `flows FLOW COUNT [FLEET]`: runs one data flow that many times after a warm-up, for a tool that
//! counts what [`measured`] does.

use std::process::ExitCode;

use flows::Shard;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    let flow = match arguments.first().map(String::as_str) {
        Some("notification") => Shard::notification,
        Some("registration") => Shard::registration,
        Some("command") => Shard::command,
        _ => {
            eprintln!("usage: flows notification|registration|command COUNT [FLEET]");
            return ExitCode::from(2);
        }
    };
    let count = number(1).unwrap_or(1_000);
    let mut shard = Shard::with_fleet(number(2).unwrap_or(200));
    // Everything that grows has grown, and every device was heard once more.
    (0..count).for_each(|_| flow(&mut shard));
    measured(&mut shard, flow, count);
    println!("{}", shard.operations());
    ExitCode::SUCCESS
}

/// What is counted: its name is what callgrind is told.
#[inline(never)]
fn measured(shard: &mut Shard, flow: fn(&mut Shard), count: u32) {
    for _ in 0..count {
        flow(std::hint::black_box(shard));
    }
}
