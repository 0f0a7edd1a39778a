//! Replays the corpus of a target without a fuzzer: each file as it is, and mutations of it.
//!
//! The tests of the crates include this file, so that plain `cargo test` runs what fuzzing found.
//! The choice of mutations depends on the file's place and content only: a failure comes back on
//! every machine.

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::{env, fs};

/// Runs a target over its corpus and over `mutations` changed copies of each file.
///
/// With `FUZZ_INPUT=<file>` in the environment it runs over that file alone, to look at a finding.
pub fn replay(target: &str, mutations: u32, body: impl Fn(&[u8])) {
    if let Some(file) = env::var_os("FUZZ_INPUT") {
        return body(&fs::read(file).expect("FUZZ_INPUT names a readable file"));
    }
    let seeds = corpus(target);
    for (index, (name, seed)) in seeds.iter().enumerate() {
        run(name, seed, &body);
        let mut chance = Chance::of(seed);
        for _ in 0..mutations {
            let (_, other) = &seeds[(index + chance.below(seeds.len())) % seeds.len()];
            run(name, &chance.mutate(seed, other), &body);
        }
    }
}

/// The files of a corpus in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let corpora = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"));
    let directory = corpora.join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable entry"))
        .map(|entry| {
            let bytes = fs::read(entry.path()).expect("a readable file");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {directory:?}");
    files
}

/// Runs the body; a panic is repeated behind the input that made it.
fn run(name: &str, input: &[u8], body: &impl Fn(&[u8])) {
    if let Err(cause) = panic::catch_unwind(AssertUnwindSafe(|| body(input))) {
        let digits: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("input (from {name}): {digits}");
        panic::resume_unwind(cause);
    }
}

/// A small generator (SplitMix64): reproducible, and no dependency of the tests.
struct Chance(u64);

impl Chance {
    /// Seeded by the bytes (FNV-1a).
    fn of(bytes: &[u8]) -> Self {
        let hash = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if there is none.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() as usize).checked_rem(limit).unwrap_or(0)
    }

    /// One to three changes: a bit, a byte, a cut, a repeated piece, the tail of another file.
    fn mutate(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => self.flip(&mut bytes, at),
                2 => self.overwrite(&mut bytes, at),
                3 => bytes.insert(at, self.next() as u8),
                4 => repeat(&mut bytes, at, self.below(16)),
                _ => {
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[self.below(other.len())..]);
                }
            }
        }
        bytes
    }

    fn flip(&mut self, bytes: &mut [u8], at: usize) {
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << self.below(8);
        }
    }

    fn overwrite(&mut self, bytes: &mut [u8], at: usize) {
        // The borders of lengths and numbers are where codecs go wrong.
        const BORDERS: [u8; 8] = [0x00, 0x7f, 0x80, 0xff, b'"', b'/', b'-', b'9'];
        if let Some(byte) = bytes.get_mut(at) {
            *byte = BORDERS[self.below(BORDERS.len())];
        }
    }
}

fn repeat(bytes: &mut Vec<u8>, at: usize, len: usize) {
    let piece: Vec<u8> = bytes.iter().skip(at).take(len).copied().collect();
    bytes.splice(at..at, piece);
}
