//! Log template mining against properties and synthetic streams.

use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::logs::{Header, LogMiner, MinerConfig, MinerOptions, Segment};
use proptest::prelude::*;

fn miner(options: MinerOptions) -> LogMiner {
    LogMiner::new(MinerConfig::try_from(options).unwrap())
}

fn content() -> LogMiner {
    LogMiner::new(MinerConfig::default())
}

/// Template texts with their counts.
fn found(miner: &LogMiner) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for template in miner.templates() {
        *found.entry(template.to_string()).or_default() += template.count;
    }
    found
}

fn template_of(lines: &[&str]) -> String {
    let mut miner = content();
    let ids = miner.push_all(lines);
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 1, "{:?}", found(&miner));
    miner.template(ids[0]).unwrap().to_string()
}

#[test]
fn what_is_variable_by_form_is_masked() {
    for (line, template) in [
        ("took 12 ms, 0.5 left, -3 over, 64KB", "took <*> ms, <*> left, <*> over, <*>"),
        ("at 0x1f2e and 9f4ef63", "at <*> and <*>"),
        ("from 10.1.2.3:8080 to fe80::1 via 00:1b:44:11:3a:b7", "from <*> to <*> via <*>"),
        ("peer node-7/10.0.0.7:9000 is down", "peer <*> is down"),
        ("open /var/log/a.log: denied", "open <*>: denied"),
        (r"load C:\Windows\System32\a.dll now", "load <*> now"),
        ("GET /v2/items?id=7&x=y HTTP/1.1 done", "GET <*> HTTP/<*> done"),
        ("at Sun Jun 19 08:43:14 2005 sharp", "at <*> sharp"),
        ("id 54fadb41-096b-447d-96ea-a692162415ae gone", "id <*> gone"),
        ("block blk_-3886504906 and rdd_42_20", "block <*> and <*>"),
        ("flag is True, user null", "flag is <*>, user <*>"),
        ("node-246 and core.862 stay words", "node-<*> and core.<*> stay words"),
        ("interface en0 and IPv6 stay", "interface en0 and IPv6 stay"),
        ("host adsl-068-213.mia.example.net:22 gone", "host <*> gone"),
        ("get https://example.org/a/7 failed", "get <*> failed"),
        ("see https://example.org/help for help", "see https://example.org/help for help"),
    ] {
        assert_eq!(template_of(&[line]), template, "{line}");
    }
}

#[test]
fn words_that_vary_become_one_variable() {
    let users = ["anna", "bert", "cleo", "dora", "emil", "fred"];
    let lines: Vec<String> = users.iter().map(|u| format!("session opened for user {u} by login")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(template_of(&lines), "session opened for user <*> by login");
}

#[test]
fn a_few_words_stay_what_they_are() {
    let mut miner = content();
    let ids = miner.push_all(["link up on the uplink port", "link down on the uplink port"]);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn values_known_from_one_template_are_values_in_another() {
    let mut miner = content();
    for user in ["anna", "bert", "cleo", "dora", "emil"] {
        miner.push(format!("session opened for user {user} by login").as_bytes());
    }
    let ids = miner.push_all(["password of user anna has changed", "password of user bert has changed"]);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(miner.template(ids[0]).unwrap().to_string(), "password of user <*> has changed");
}

#[test]
fn the_first_word_may_vary_and_lists_have_any_length() {
    let names = [
        "crond", "httpd", "named", "ntpd", "sshd", "smartd", "gpm", "xinetd", "cupsd", "portmap", "nfsd",
        "lpd",
    ];
    let lines: Vec<String> = names.iter().map(|n| format!("{n} startup has succeeded")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(template_of(&lines), "<*> startup has succeeded");
    assert_eq!(template_of(&["deleting 1", "deleting 1 2 3", "deleting 4, 5"]), "deleting <*>");
}

#[test]
fn empty_and_missing_values_are_values() {
    assert_eq!(
        template_of(&["connection from 10.0.0.1 () at 9", "connection from 10.0.0.2 (10.0.0.3) at 7"]),
        "connection from <*> (<*>) at <*>"
    );
    assert_eq!(
        template_of(&["audit uid=1 tty=ssh ruser= rhost=a", "audit uid=1 tty=con ruser=x rhost=b"]),
        "audit uid=<*> tty=<*> ruser=<*> rhost=<*>"
    );
}

#[test]
fn ids_stay_and_moves_are_recorded() {
    let mut miner = content();
    let users = ["anna", "bert", "cleo", "dora", "emil", "fred"];
    let pushed: Vec<_> = users
        .iter()
        .map(|u| miner.push(format!("session closed for user {u} by login").as_bytes()))
        .collect();
    assert_eq!(pushed.iter().collect::<BTreeSet<_>>().len(), users.len(), "nothing is settled yet");
    miner.settle();
    for id in &pushed {
        assert_eq!(miner.resolve(*id), Some(pushed[0]));
    }
    let moved: Vec<_> = miner.moves().iter().map(|m| (m.from, m.into)).collect();
    assert_eq!(moved, pushed[1..].iter().map(|id| (*id, pushed[0])).collect::<Vec<_>>());
    assert_eq!(miner.push(b"session closed for user gerd by login"), pushed[0], "a new value joins at once");
    assert_eq!(miner.template(pushed[3]).unwrap().count, 7);
}

#[test]
fn a_template_that_splits_is_recorded() {
    let mut miner = content();
    let fetch = |miner: &mut LogMiner, what: &str| miner.push(format!("fetch {what} from store").as_bytes());
    let first = fetch(&mut miner, "db.main.west");
    fetch(&mut miner, "mq.main.east");
    fetch(&mut miner, "web.spare.north");
    miner.settle();
    assert_eq!(found(&miner), BTreeMap::from([("fetch <*> from store".to_owned(), 3)]), "three names");
    // Words join at once, but five values of which two are no names are too few to be sure of a variable.
    assert_eq!((fetch(&mut miner, "users"), fetch(&mut miner, "orders")), (first, first));
    miner.settle();
    let expected = ["db.main.west", "mq.main.east", "orders", "users", "web.spare.north"];
    let expected = expected.map(|what| (format!("fetch {what} from store"), 1));
    assert_eq!(found(&miner), BTreeMap::from(expected));
    assert_eq!(miner.resolve(first), Some(first), "the oldest keeps the id");
    let left: Vec<_> = miner.moves().iter().filter(|m| m.from == first).collect();
    assert_eq!(left.len(), 4);
    for moved in left {
        assert_eq!((moved.into, moved.line), (moved.pattern, 5));
        assert_eq!(miner.resolve(moved.pattern), Some(moved.into));
    }
}

/// Lines of one message stream behind the header of one kind of system.
fn with_header(header: impl Fn(usize) -> String) -> (usize, LogMiner) {
    let mut miner = miner(MinerOptions { header: Header::Infer, ..MinerOptions::default() });
    let mut ids = Vec::new();
    let lines: Vec<String> = (0..600)
        .map(|n| {
            let message = match n % 4 {
                0 => format!("accepted connection {n} from 10.0.0.{}", n % 250),
                1 => format!("closed connection {n} after {} ms", n * 7 % 100),
                2 => "cache is cold".to_owned(),
                _ => format!("worker thread {n} has no work"),
            };
            format!("{}{message}", header(n))
        })
        .collect();
    for line in &lines {
        ids.push(miner.push(line.as_bytes()));
    }
    miner.settle();
    let groups: BTreeSet<_> = ids.iter().map(|id| miner.resolve(*id).unwrap()).collect();
    (groups.len(), miner)
}

type MakeHeader = Box<dyn Fn(usize) -> String>;

#[test]
fn headers_are_inferred() {
    let level = |n: usize| ["INFO", "WARN", "ERROR", "DEBUG"][n / 5 % 4];
    let part = |n: usize| ["disk.Cache", "net.Pool", "api.Front", "db.Store"][n / 3 % 4];
    let (m, s) = (|n: usize| n / 60 % 60, |n: usize| n % 60);
    let headers: Vec<(&str, MakeHeader)> = vec![
        (
            "syslog",
            Box::new(move |n| {
                format!("Jun {:2} 15:{:02}:{:02} web-1 {}[{n}]: ", n % 28 + 1, m(n), s(n), part(n))
            }),
        ),
        (
            "log4j",
            Box::new(move |n| {
                format!("2031-10-18 18:{:02}:{:02},{:03} {} [main] {}: ", m(n), s(n), n, level(n), part(n))
            }),
        ),
        (
            "log4j, thread",
            Box::new(move |n| {
                format!(
                    "2031-10-18 18:{:02}:{:02},{:03} - {}  [{}[id={n}]:x@7] - ",
                    m(n),
                    s(n),
                    n,
                    level(n),
                    part(n)
                )
            }),
        ),
        (
            "apache",
            Box::new(move |n| {
                format!("[Sun Dec 04 04:{:02}:{:02} 2031] [{}] ", m(n), s(n), level(n).to_lowercase())
            }),
        ),
        (
            "python",
            Box::new(move |n| {
                format!(
                    "2031-05-16 00:{:02}:{:02}.{:03} {n} {} {} [req-{n} - -] ",
                    m(n),
                    s(n),
                    n,
                    level(n),
                    part(n)
                )
            }),
        ),
        ("bars", Box::new(move |n| format!("20311223-22:{:02}:{:02}:{:03}|{}|{n}|", m(n), s(n), n, part(n)))),
        (
            "logcat",
            Box::new(move |n| {
                format!(
                    "03-17 16:{:02}:{:02}.{:03}  {n}  {n} {} {}: ",
                    m(n),
                    s(n),
                    n,
                    &level(n)[..1],
                    part(n)
                )
            }),
        ),
        ("name and dash", Box::new(move |n| format!("[10.30 16:{:02}:{:02}] {} - ", m(n), s(n), part(n)))),
        ("none", Box::new(|_| String::new())),
    ];
    for (name, header) in headers {
        let (groups, miner) = with_header(header);
        assert_eq!(groups, 4, "{name}: {:?} {:#?}", miner.header(), found(&miner));
    }
}

#[test]
fn a_line_that_keeps_its_header_costs_no_other_line() {
    const LINES: usize = 300;
    let header =
        |n: usize| format!("2031-10-18 18:{:02}:{:02},{:03} INFO [main] disk.Cache: ", n / 60, n % 60, n);
    let messages = ["cache is cold", "worker has no work", "closed the connection", "took one lock"];
    let odd = [
        "no header at all".to_owned(),
        "\tat disk.Cache.read".to_owned(),
        header(7),
        "2031-10-18 18:00:01,007".to_owned(),
        String::new(),
    ];
    // The odd line first, on either side of the line at which the header becomes known, on that line, and last.
    for at in [0, 63, 64, 65, LINES - 1] {
        for odd in &odd {
            let options = MinerOptions { header: Header::Infer, header_lines: 64, ..MinerOptions::default() };
            let mut miner = miner(options);
            let message = |n: usize| messages[n % messages.len()];
            let line = |n| if n == at { odd.clone() } else { format!("{}{}", header(n), message(n)) };
            let ids = miner.push_all((0..LINES).map(line));
            let found = found(&miner);
            for (which, text) in messages.iter().enumerate() {
                let count = (0..LINES).filter(|n| *n != at && n % messages.len() == which).count();
                assert_eq!(found.get(*text), Some(&(count as u64)), "{odd:?} at {at}: {found:?}");
            }
            assert_eq!(found.values().sum::<u64>(), LINES as u64, "{odd:?} at {at}: {found:?}");
            assert_eq!(ids.iter().filter(|id| **id == ids[at]).count(), 1, "{odd:?} at {at}");
        }
    }
}

#[test]
fn a_line_of_a_full_template_is_taken_apart_too() {
    let options =
        MinerOptions { header: Header::None, max_patterns_per_template: 8, ..MinerOptions::default() };
    let mut miner = LogMiner::new(MinerConfig::try_from(options).unwrap());
    let lines: Vec<String> = (1..=12).map(|values| format!("freed{}", " 7".repeat(values))).collect();
    for line in &lines {
        miner.push(line.as_bytes());
    }
    // One list, of which the oldest patterns are kept.
    miner.settle();
    assert_eq!((miner.templates().len(), miner.patterns()), (1, 8));
    for (values, line) in (1..).zip(&lines) {
        let id = miner.push(line.as_bytes());
        let parts = miner.extract(line.as_bytes()).unwrap();
        assert_eq!(Some(parts.template), miner.resolve(id));
        assert_eq!(parts.parameters().count(), values);
    }
    assert_eq!(miner.extract(b"freed 7 7 7 7 7 7 7 7 7 7 7 7 7"), None);
}

#[test]
fn extraction_takes_a_line_apart() {
    let mut miner = content();
    miner.push(b"job 7 of /srv/a took 12 ms");
    let line = b"job 19 of  /srv/b took 0.5 ms";
    let parts = miner.extract(line).unwrap();
    assert_eq!(parts.parameters().collect::<Vec<_>>(), [&b"19"[..], b"/srv/b", b"0.5"]);
    assert!(miner.extract(b"something else").is_none());
}

#[test]
fn long_and_binary_lines_are_lines() {
    let mut miner = content();
    let long = b"word 12 ".repeat(1 << 17);
    let noise: Vec<u8> = (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let quotes = b"=\"".repeat(1 << 19);
    for line in [&long[..], &noise, &quotes, b"", b"\0\xff\xfe", b"   ", b"<*>", b"a<*>b", b"::::::::::1"] {
        let id = miner.push(line);
        assert_eq!(miner.push(line), id);
        let parts = miner.extract(line).unwrap();
        assert_eq!(joined(parts.header, &parts.segments), line);
    }
    miner.settle();
}

fn joined(header: &[u8], segments: &[Segment<'_>]) -> Vec<u8> {
    let mut line = header.to_vec();
    for segment in segments {
        match segment {
            Segment::Literal(text) | Segment::Parameter { text, .. } => line.extend_from_slice(text),
        }
    }
    line
}

#[test]
fn memory_is_bounded_on_random_lines() {
    let mut rng = fastrand::Rng::with_seed(7);
    let options = MinerOptions { max_patterns: 1000, max_bytes: 4_000_000, ..MinerOptions::default() };
    let mut miner = miner(options);
    let first = miner.push(b"a line that is seen again and again");
    for n in 0..20_000 {
        let words = rng.usize(1..30);
        let line: Vec<u8> =
            (0..words * 8).map(|_| if rng.u8(..8) == 0 { b' ' } else { rng.lowercase() as u8 }).collect();
        miner.push(&line);
        if n % 50 == 0 {
            assert_eq!(miner.push(b"a line that is seen again and again"), first, "what is used stays");
        }
        assert!(miner.patterns() <= 1000);
        assert!(miner.memory() <= 4_400_000, "{}", miner.memory());
    }
    let stats = miner.stats();
    let counted: u64 = miner.templates().iter().map(|t| t.count).sum();
    assert!(stats.evicted_patterns > 0);
    assert_eq!(
        counted + stats.evicted_lines,
        stats.lines,
        "every line is in a template or counted as forgotten"
    );
}

/// A word for each number, without a digit.
fn name(number: usize) -> String {
    (0..5).map(|place| char::from(b'a' + (number / 26_usize.pow(place) % 26) as u8)).collect()
}

/// The smallest bound on bytes, the default one on patterns, and templates that are seen once.
fn small_with_rare_templates(rare: usize) -> LogMiner {
    let mut miner = miner(MinerOptions { max_bytes: 1_000_000, ..MinerOptions::default() });
    for n in 0..rare {
        miner.push(vec![name(n * 7919); n % 9 + 3].join(" ").as_bytes());
    }
    miner
}

#[test]
fn lines_that_differ_in_blanks_evict_nothing() {
    let mut miner = small_with_rare_templates(200);
    let before = miner.patterns();
    // More of them than the table of line hashes may hold, all of one pattern.
    for n in 0_usize..100_000 {
        let line: String =
            (0..12).map(|gap| if n / 3_usize.pow(gap) % 3 == 0 { "up " } else { "up  " }).collect();
        let pad = " ".repeat(n % 512 + 1);
        miner.push(format!("{line}{pad}end").as_bytes());
        assert!(miner.memory() <= 1_000_000, "{} after {n}", miner.memory());
    }
    assert_eq!((miner.patterns(), miner.stats().evicted_patterns), (before + 1, 0));
}

#[test]
fn names_in_one_template_do_not_evict_rare_templates() {
    let mut miner = small_with_rare_templates(200);
    let rare: BTreeSet<String> = found(&miner).into_keys().collect();
    for n in 0..30_000 {
        miner.push(format!("session of user {} opened from the lobby", name(n)).as_bytes());
        assert!(miner.memory() <= 1_010_000, "{} after {n}", miner.memory());
    }
    let kept = found(&miner);
    let lost: Vec<&String> = rare.iter().filter(|text| !kept.contains_key(*text)).collect();
    assert!(lost.is_empty() && miner.stats().evicted_patterns == 0, "{lost:?} {:?}", miner.stats());
    assert_eq!(kept.get("session of user <*> opened from the lobby"), Some(&30_000));
}

#[test]
fn a_small_bound_on_bytes_keeps_many_patterns() {
    let mut miner = small_with_rare_templates(0);
    for n in 0..8_000 {
        miner.push(vec![name(n * 7919); n % 9 + 3].join(" ").as_bytes());
        assert!(miner.memory() <= 1_010_000, "{} after {n}", miner.memory());
        // Moves, aliases and hashes of lines do not take the room of patterns.
        assert!(n < 2_000 || miner.patterns() > 150, "{} after {n}", miner.patterns());
    }
}

#[test]
fn tokens_are_bounded_whatever_their_form() {
    for (part, most) in
        [("a=\"b\" ", 8), ("a=\"b\" ", 9), ("a=\"b\" ", 10), ("x() ", 8), ("x() ", 9), ("x() ", 10)]
    {
        let options = MinerOptions { max_tokens: most, ..MinerOptions::default() };
        let mut miner = miner(options);
        let id = miner.push(part.repeat(500).as_bytes());
        let template = miner.template(id).unwrap().to_string();
        assert!(template.len() < 80 && template.ends_with("<*>"), "{template}");
    }
}

#[test]
fn a_stored_miner_of_another_kind_is_refused() {
    let mut json = serde_json::to_value(content()).unwrap();
    json["version"] = 9.into();
    assert!(serde_json::from_value::<LogMiner>(json).unwrap_err().to_string().contains("version 9"));
    let error =
        MinerConfig::try_from(MinerOptions { max_patterns: 1, ..MinerOptions::default() }).unwrap_err();
    assert_eq!(error.field(), "max_patterns");
    let error = MinerConfig::try_from(MinerOptions { variable_words: vec![], ..MinerOptions::default() })
        .unwrap_err();
    assert_eq!(error.field(), "variable_words");
}

#[test]
fn a_stored_miner_that_none_can_have_written_is_refused() {
    let mut miner = content();
    for n in 0..300 {
        miner.push(format!("session of user {} opened from lobby {}", name(n), name(n % 3)).as_bytes());
        miner.push(vec![name(n % 7); n % 5 + 1].join(" ").as_bytes());
    }
    let stored = serde_json::to_value(&miner).unwrap();
    let mut read: LogMiner = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), stored);
    assert_eq!(read.push(b"one more"), miner.push(b"one more"));
    let (huge, next) = (serde_json::json!(u64::MAX), stored["next_id"].clone());
    let last = stored["patterns"].as_array().unwrap().len() - 1;
    let refused = |reason: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut state = stored.clone();
        change(&mut state);
        let error = serde_json::from_value::<LogMiner>(state).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    };
    refused("ids are more", &|s| s["next_id"] = huge.clone());
    refused("lines are more", &|s| s["stats"]["lines"] = huge.clone());
    refused("dropped moves are more", &|s| s["stats"]["dropped_moves"] = huge.clone());
    refused("lines of patterns are more", &|s| s["stats"]["evicted_lines"] = huge.clone());
    refused("evicted patterns are more", &|s| s["stats"]["evicted_patterns"] = huge.clone());
    refused("unknown field", &|s| s["stats"]["more"] = 1.into());
    refused("lines of patterns are more", &|s| s["patterns"][0]["count"] = huge.clone());
    refused("numbers of last lines", &|s| s["patterns"][0]["last"] = huge.clone());
    refused("newer than one of its patterns", &|s| s["patterns"][0]["template"] = 1.into());
    refused("order of their ids", &|s| s["patterns"][0]["id"] = next.clone());
    refused("a token is no word", &|s| s["patterns"][0]["tokens"][0] = huge.clone());
    refused("tokens, of at most", &|s| s["patterns"][0]["tokens"] = vec![0; 10_000].into());
    refused("two patterns are the same", &|s| {
        s["patterns"][last]["tokens"] = s["patterns"][0]["tokens"].clone();
    });
    refused("patterns, of at most", &|s| s["config"]["max_patterns"] = 64.into());
    refused("a list that is no template", &|s| s["lists"] = serde_json::json!({ "9999": [0] }));
    refused("an alias of", &|s| s["aliases"] = serde_json::json!({ "0": 1 }));
    refused("an alias of", &|s| s["aliases"] = serde_json::json!({ u64::MAX.to_string(): 0 }));
    let moved = serde_json::json!({ "from": 0, "into": u64::MAX, "pattern": 0, "line": 1 });
    refused("a move of", &|s| s["moves"] = serde_json::json!([moved]));
    // A settling that never comes, and a record without end, are what a miner would have made of them.
    let mut state = stored.clone();
    state["due"] = huge.clone();
    let kept = serde_json::json!({ "from": 0, "into": 0, "pattern": 0, "line": 1 });
    state["moves"] = vec![kept; 100_000].into();
    let read: LogMiner = serde_json::from_value(state).unwrap();
    assert!(read.moves().len() <= 1 << 14 && read.stats().dropped_moves > 0);
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "open", "close", "failed", "user", "for", "block", "=", "id=", "a:b", "[x]", "()"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec!["anna", "bert", "cleo", "dora", "emil"]).prop_map(str::to_owned),
        (0_u32..1000).prop_map(|n| n.to_string()),
        (0_u32..50).prop_map(|n| format!("10.0.0.{n}:80")),
        (0_u32..50).prop_map(|n| format!("/srv/{n}")),
        (0_u32..9).prop_map(|n| format!("node-{n}.example.org")),
    ]
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    let line = prop::collection::vec(word(), 1..7).prop_map(|words| words.join(" "));
    prop::collection::vec(line, 1..120)
}

proptest! {
    #[test]
    fn no_bytes_panic_and_lines_reassemble(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..40),
        infer in any::<bool>(),
    ) {
        let header = if infer { Header::Infer } else { Header::None };
        let mut miner = miner(MinerOptions { header, max_tokens: 16, max_line_bytes: 64, ..MinerOptions::default() });
        for line in &lines {
            miner.push(line);
        }
        miner.settle();
        for line in &lines {
            let parts = miner.extract(line);
            prop_assert!(parts.is_some());
            let parts = parts.unwrap();
            prop_assert_eq!(&joined(parts.header, &parts.segments), line);
        }
        let counted: u64 = miner.templates().iter().map(|t| t.count).sum();
        prop_assert_eq!(counted, lines.len() as u64);
    }

    #[test]
    fn the_order_of_lines_does_not_matter(lines in lines(), seed in any::<u64>()) {
        let mut ordered = content();
        ordered.push_all(&lines);
        let mut mixed = lines.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut mixed);
        let mut other = content();
        other.push_all(&mixed);
        prop_assert_eq!(found(&ordered), found(&other));
    }

    #[test]
    fn streaming_is_batch(lines in lines()) {
        let mut batch = content();
        let ids = batch.push_all(&lines);
        let mut stream = content();
        let pushed: Vec<_> = lines.iter().map(|line| stream.push(line.as_bytes())).collect();
        stream.settle();
        let resolved: Vec<_> = pushed.iter().map(|id| stream.resolve(*id).unwrap()).collect();
        prop_assert_eq!(ids, resolved);
        prop_assert_eq!(batch.templates(), stream.templates());
    }

    #[test]
    fn shards_merge_in_any_way(lines in lines(), cuts in (0_usize..120, 0_usize..120)) {
        let mut whole = content();
        whole.push_all(&lines);
        let (a, b) = (cuts.0.min(cuts.1).min(lines.len()), cuts.0.max(cuts.1).min(lines.len()));
        let shard = |part: &[String]| {
            let mut miner = content();
            for line in part {
                miner.push(line.as_bytes());
            }
            miner
        };
        let shards = [shard(&lines[..a]), shard(&lines[a..b]), shard(&lines[b..])];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut left = shards[order[0]].clone();
            left.merge(shards[order[1]].clone());
            left.merge(shards[order[2]].clone());
            let mut right = shards[order[1]].clone();
            let map = right.merge(shards[order[2]].clone());
            for (_, own) in map {
                prop_assert!(right.resolve(own).is_some());
            }
            let mut nested = shards[order[0]].clone();
            nested.merge(right);
            prop_assert_eq!(found(&left), found(&whole));
            prop_assert_eq!(found(&nested), found(&whole));
            prop_assert_eq!(left.stats().lines, lines.len() as u64);
        }
    }

    #[test]
    fn a_stored_miner_goes_on(lines in lines(), cut in 0_usize..120) {
        let cut = cut.min(lines.len());
        let mut miner = content();
        for line in &lines[..cut] {
            miner.push(line.as_bytes());
        }
        let stored = serde_json::to_string(&miner).unwrap();
        let mut again: LogMiner = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&serde_json::to_string(&again).unwrap(), &stored);
        for line in &lines[cut..] {
            prop_assert_eq!(miner.push(line.as_bytes()), again.push(line.as_bytes()));
        }
        miner.settle();
        again.settle();
        prop_assert_eq!(miner.templates(), again.templates());
    }
}
