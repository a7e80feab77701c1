//! The scan against [`naive`], which looks at one byte after the other.

use proptest::prelude::*;

use super::*;

type Found = Vec<(usize, usize, VariableKind)>;

fn fast(line: &[u8]) -> Found {
    let mut scan = Scan::default();
    // What an earlier line left must not matter.
    scan.read(&[b'7'; 200]);
    scan.read(line);
    let mut found = Vec::new();
    mask(&scan, line, |start, end, kind| found.push((start, end, kind)));
    found
}

fn naive(line: &[u8]) -> Found {
    let mut found = Vec::new();
    naive::mask(line, |start, end, kind| found.push((start, end, kind)));
    found
}

fn agree(line: &[u8]) {
    assert_eq!(fast(line), naive(line), "{:?}", String::from_utf8_lossy(line));
}

#[test]
fn forms_are_digits_where_they_say() {
    const TIME: Form = Form::new(b"00:00:00");
    for at in 0..8 {
        for byte in 0..=255 {
            let mut text = *b"19:28:37";
            text[at] = byte;
            let fits = if at % 3 == 2 { byte == b':' } else { byte.is_ascii_digit() };
            assert_eq!(TIME.fits(u64::from_le_bytes(text)), fits, "{text:?}");
        }
    }
}

#[test]
fn lines_of_every_form_are_masked_as_one_byte_after_the_other() {
    for line in [
        "",
        "2031-10-18 12:34:56,789 -5 +7 (-3) a-5 12.5 1.2.3.4:80 10.0.0.0/8 at 12:34:56:78:9a:bc",
        "2031-10-18.log.gz 2031-10-18-rc.1 12:34:56.789Z 1:2:3 dead:beef::1 0000:01:0c.0",
        "blk_-1234567 abc_-1234 en0_-1234 xx_-12345_-99999 true_-12345 x1true false, NULL (Admin)",
        "Jun 19 08:43:14x2005y Sun Jun  9 08:43:14 2005 Jun 99 May 1 00:00:00true.7",
        "54fadb41-096b-447d-96ea-a692162415aetrue 54fadb41-096b-447d-96ea-a692162415aex12345",
        "http://a.b:8080/x=1 http://help/a=b>c.d.ef9.gh https://x.y/=.:/z http://a=./~/x file:///etc/x",
        "a.b.c.:80 a.b.c:80/x :80 a.b:80 a.b.c:80:90 x=a.b.c:8080 1.b.c.de:80 a.b.deadbeef. a.b-deadbeef-",
        "./a ~/b ../c /d // /e/f?x=y&z=(1) \"/g\" a/b .~/x C:\\x\\y.z; D: c:\\ /a:80 //x/7:80",
        "node-1:80, node-7/10.0.0.7:9000 x-1.y.example.com:22 4G/8G 0x1c/0x20 31/06/09 1/2.3.4.5",
        "decadent deadbeef facade01 0xfeed 9f4ef63 64KB 0userId v1.2 rdd_42_20 core.862 IPv6 en0",
        "\u{e9}\u{e9}1 a\u{e9}:80 x<1>y <*>7<*> a\0 1\0 2 ~1 ^2 `3 ?4 *5 @6 #7 $8 %9 &1 |2 _3",
    ] {
        let line = line.as_bytes();
        for pad in 0..70 {
            agree(&[&vec![b' '; pad], line].concat());
        }
        for cut in 0..line.len() {
            agree(line.get(cut..).unwrap_or_default());
            agree(line.get(..cut).unwrap_or_default());
        }
    }
}

/// Pieces of what matters, glued together anyhow.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let marks: Vec<u8> = (0..=255).collect();
    let words = [
        "true",
        "null",
        "Root",
        "false",
        "ADMIN",
        "Jun",
        "Sun",
        "Mon ",
        "://",
        "http",
        "C:\\",
        "dead",
        "beef",
        "face",
        "_-",
        "0x",
        "12",
        "2031",
        "-10-18",
        ":34:56",
        "10.0.0.1",
        ":80",
        "/",
        "..",
        "~",
        "::",
        "a",
        "x",
        "_",
        "KB",
        "com",
        "name",
        "1234",
        "54fadb41-096b-447d-96ea-a692162415ae",
        " 08:43:14",
        " 2005",
        " ",
        " ",
        "=",
        "(",
        ",",
        "-",
        "+",
        ".",
    ];
    prop_oneof![
        8 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::sample::select(marks).prop_map(|byte| vec![byte]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_line_is_masked_as_one_byte_after_the_other(pieces in prop::collection::vec(piece(), 0..60)) {
        let line = pieces.concat();
        prop_assert_eq!(fast(&line), naive(&line), "{:?}", String::from_utf8_lossy(&line));
    }

    #[test]
    fn any_bytes_are_masked_as_one_byte_after_the_other(line in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(fast(&line), naive(&line));
    }
}
