//! Input and floor of masking.

use std::fmt::Write as _;

/// About `bytes` of log lines from a fixed seed; one line in `every` holds a secret, none for 0.
#[must_use]
pub fn log_lines(bytes: usize, every: usize) -> String {
    let mut rng = fastrand::Rng::with_seed(42);
    let mut text = String::with_capacity(bytes + 200);
    let mut line = 0;
    while text.len() < bytes {
        let (n, id) = (rng.u32(..100_000), rng.u64(..));
        // Writing to a string cannot fail.
        let _ = write!(text, "2026-11-21T12:34:{:02}.{:03}Z INFO ", n % 60, n % 1000);
        let _ = match line % 4 {
            0 => writeln!(
                text,
                "[worker-{}] request GET /api/v1/orders/{n} took {}.{} ms status=200",
                n % 64,
                n % 900,
                n % 10
            ),
            1 => writeln!(text, "org.example.store.BlockManager: received block blk_{id} of size 67108864"),
            2 => writeln!(text, "trace={id:016x} span={n:08x} cache hit ratio 0.{n} for key orders:{n}"),
            _ => writeln!(text, "kernel: [{n}.{n}] eth0: link is up, 1000 Mbps, full duplex"),
        };
        line += 1;
        if every > 0 && line % every == 0 {
            let _ =
                writeln!(text, "login of user{n}@example.com from 203.0.113.{} password=pw{id:x}", n % 256);
        }
    }
    text
}

/// Floor: every byte is read once, eight at a time.
#[must_use]
pub fn read_memory(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}
