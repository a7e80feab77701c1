//! What is recorded can be read again, and nothing else.

use std::time::Duration;

use aiops_core::ErrorKind;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    EntityId, MetricSeries, SeriesKey, Signal, TelemetryWindow, TimeAxis, TimeRange, time,
};
use aiops_core::recording::{MAX_LINE_BYTES, read_windows, read_windows_within, write_window};

fn window(second: u64, samples: impl IntoIterator<Item = Option<f64>>) -> TelemetryWindow {
    let samples: Vec<_> = samples.into_iter().collect();
    let start = time::after(Timestamp::UNIX_EPOCH, Duration::from_secs(second));
    let range = TimeRange::new(start, time::after(start, Duration::from_secs(samples.len() as u64))).unwrap();
    let axis = TimeAxis::covering(range, Duration::from_secs(1)).unwrap();
    let key = SeriesKey::new("lag").with("queue", "a \"b\"\n\u{2028}c");
    let mut window = TelemetryWindow::new(range);
    window.observed = Signal::Metrics.into();
    window.metrics = vec![MetricSeries::new(key, EntityId::service("orders"), axis, samples).unwrap()];
    window
}

fn recording(windows: &[TelemetryWindow]) -> Vec<u8> {
    let mut bytes = Vec::new();
    windows.iter().for_each(|window| write_window(&mut bytes, window).unwrap());
    bytes
}

#[test]
fn windows_come_back_bit_by_bit() {
    let odd = [Some(0.1 + 0.2), None, Some(f64::INFINITY), Some(-f64::INFINITY), Some(-0.0), Some(5e-324)];
    let windows = [window(7, odd), window(0, [None; 3]), window(60, [Some(1e300); 2])];
    let bytes = recording(&windows);
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 3, "a line each");
    let read: Vec<_> = read_windows(bytes.as_slice()).collect::<Result<_, _>>().unwrap();
    assert_eq!(read, windows);
    assert_eq!(recording(&read), bytes);
    // NaN equals nothing, so the bytes are compared.
    let nan = recording(&[window(0, [Some(f64::NAN), None])]);
    assert_eq!(recording(&read_windows(nan.as_slice()).collect::<Result<Vec<_>, _>>().unwrap()), nan);
    assert!(String::from_utf8(nan).unwrap().contains("\"NaN\",null"));
}

#[test]
fn a_case_part_is_a_line() {
    let observed = window(0, [Some(1.0)]);
    let part = serde_json::to_value(aiops_core::CasePart::Observed(observed.clone().into())).unwrap();
    let window =
        part.as_object().unwrap().values().find(|value| value.get("range").is_some()).unwrap_or(&part);
    let line = serde_json::to_string(window).unwrap();
    assert_eq!(read_windows(line.as_bytes()).next().unwrap().unwrap(), observed);
}

#[test]
fn the_first_line_that_is_none_ends_the_recording_with_its_number() {
    let good = recording(&[window(0, [Some(1.0)])]);
    for bad in [&good[..40], b"[]", b"{\"range\":1}", b"\xff\xfe", b"{\"ranges\":{}}"] {
        let bytes = [&good[..], b"\n \r\n", bad, b"\n", &good[..]].concat();
        let read: Vec<_> = read_windows(bytes.as_slice()).collect();
        assert_eq!(read.len(), 2, "{read:?}");
        let error = read[1].as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains('4'), "{error}");
    }
    assert_eq!(read_windows(&b""[..]).count(), 0);
}

#[test]
fn a_line_without_end_is_an_error_and_takes_no_memory_beyond_the_limit() {
    let good = recording(&[window(0, [Some(1.0)])]);
    let long = recording(&[window(0, [Some(1.0); 99])]);
    let most = (good.len() - 1) as u64;
    let bytes = [&good[..], &long[..], &good[..]].concat();
    let read: Vec<_> = read_windows_within(bytes.as_slice(), most).collect();
    assert_eq!(read.len(), 2);
    let error = read[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().contains("line: 2"), "{error}");
    // What fits exactly is read, with a line end and without one; a byte less is too little.
    for bytes in [&good[..], good.strip_suffix(b"\n").unwrap()] {
        assert!(read_windows_within(bytes, most).all(|window| window.is_ok()));
        assert!(read_windows_within(bytes, most - 1).all(|window| window.is_err()));
    }
    // Without the limit this would never end.
    let endless = std::io::BufReader::new(std::io::repeat(b' '));
    let error = read_windows(endless).next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().contains(&MAX_LINE_BYTES.to_string()), "{error}");
}

#[test]
fn what_cannot_be_written_or_read_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl std::io::Read for Full {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let error = write_window(&mut Full, &window(0, [Some(1.0)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let read: Vec<_> = read_windows(std::io::BufReader::new(Full)).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
}
