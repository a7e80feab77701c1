//! The supervised service: answers `/healthz` (badly while a file `sick` exists) and `/config`, and writes a file upon `POST /purge`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;

pub(crate) fn run_if_child() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["child-serve", port, config] => Some(serve(port, config)),
        ["child-lifeline", file] => {
            std::fs::write(file, std::process::id().to_string()).unwrap();
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::fs::write(file, "ended").unwrap();
            Some(ExitCode::SUCCESS)
        }
        ["child-supervise", folder] => Some(crate::support::supervise(folder)),
        ["child-chatter"] => Some(chatter()),
        _ => None,
    }
}

fn serve(port: &str, config: &str) -> ExitCode {
    let text = std::fs::read_to_string(config).unwrap();
    if text.contains("broken = true") || std::path::Path::new("cache/broken").exists() {
        eprintln!("cannot start");
        return ExitCode::from(3);
    }
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut line = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let _ = reader.read_line(&mut line);
        let mut header = String::new();
        while reader.read_line(&mut header).is_ok_and(|read| read > 2) {
            header.clear();
        }
        let sick = std::path::Path::new("sick").exists();
        let (status, body) = if line.starts_with("GET /healthz ") && sick {
            ("500 Internal Server Error", String::new())
        } else if line.starts_with("GET /healthz ") {
            ("200 OK", String::new())
        } else if line.starts_with("GET /config ") {
            ("200 OK", text.clone())
        } else if line.starts_with("POST /purge ") {
            std::fs::write(format!("purged-{port}"), "").unwrap();
            ("204 No Content", String::new())
        } else {
            ("404 Not Found", String::new())
        };
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
    }
    ExitCode::SUCCESS
}

/// Writes far more than a pipe holds, one line of it very long and not UTF-8, and then waits.
fn chatter() -> ExitCode {
    let mut out = std::io::stdout().lock();
    out.write_all(&[0xff; 100_000]).unwrap();
    out.write_all(b"\n").unwrap();
    for number in 0..50_000 {
        writeln!(out, "line {number}").unwrap();
    }
    out.flush().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
    ExitCode::SUCCESS
}
