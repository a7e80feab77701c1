use std::borrow::Cow;

use aiops_compact::mask::{Form, MaskConfig, MaskKey, MaskOptions, Masker, Pattern};
use aiops_core::seam::Mask as _;
use proptest::prelude::*;

fn masker(options: MaskOptions) -> Masker {
    Masker::new(&MaskConfig::try_from(options).unwrap(), MaskKey::new([7; 32])).unwrap()
}

fn everything() -> MaskOptions {
    let pattern = |label: &str, form| Pattern { label: label.to_owned(), form };
    MaskOptions {
        phone: true,
        uuid: true,
        patterns: vec![
            pattern("name", Form::Literal("Müller".to_owned())),
            pattern("codename", Form::Literal("blue heron".to_owned())),
            pattern("voucher", Form::Prefix { text: "VCH".to_owned(), least: 4 }),
            pattern("customer", Form::Shape("CUST-######".to_owned())),
            pattern("area", Form::Prefix { text: "Ärea".to_owned(), least: 2 }),
            pattern("hall", Form::Prefix { text: "ab".to_owned(), least: 700 }),
            pattern("plate", Form::Shape("??-**\\#-####".to_owned())),
        ],
        ..MaskOptions::default()
    }
}

/// Tokens of `text` by label, and the text with `…` in their place.
fn outline(text: &str) -> (Vec<String>, String) {
    let label = |from: &str| {
        let (label, digits) = from.strip_prefix('[')?.split_once(']')?.0.split_once(':')?;
        let hex = !label.contains('[') && digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| label.to_owned())
    };
    let (mut labels, mut rest, mut at) = (Vec::new(), String::new(), 0);
    while let Some(c) = text[at..].chars().next() {
        if let Some(label) = label(&text[at..]) {
            at += label.len() + 15;
            labels.push(label);
            rest.push('…');
        } else {
            rest.push(c);
            at += c.len_utf8();
        }
    }
    (labels, rest)
}

/// Assembled at run time, so that no scanner of repositories takes a test for a leak.
fn made(parts: &[&str]) -> String {
    parts.concat()
}

#[test]
fn secrets_are_masked() {
    let jwt = made(&["eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiJhbm4ifQ", ".c2lnbmF0dXJl-_8"]);
    let github = made(&["ghp", "_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"]);
    let aws = made(&["AKIA", "Q3EGRZ5EXAMPLE7A"]);
    let slack = made(&["xoxb", "-1234567890-", "abcDEF123456"]);
    let stripe = made(&["sk_live", "_4eC39HqLyjWDarjtT1zdp7dc"]);
    let pem =
        made(&["-----BEGIN RSA PRIVATE", " KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE", " KEY-----"]);
    let cut = made(&["-----BEGIN PRIVATE", " KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ"]);
    let random = "dGhpc0lzQ3p7Qx9Zk2LmPq8Rt4Vw";
    let cases: Vec<(String, &str, &str)> = vec![
        ("from ann.b+tag@mail.example.co.uk: hello".into(), "email", "from …: hello"),
        ("<ann@example.com>.".into(), "email", "<…>."),
        ("ann@xn--bcher-kva.xn--p1ai".into(), "email", "…"),
        ("client 203.0.113.7:443 closed".into(), "ip", "client …:443 closed"),
        ("/10.250.19.102:54106 dest".into(), "ip", "/…:54106 dest"),
        ("rhost=218.188.2.4.".into(), "ip", "rhost=…."),
        ("net 10.0.0.0/8".into(), "ip", "net …/8"),
        ("from 2001:db8::8a2e:370:7334 port".into(), "ip", "from … port"),
        ("[fe80::1%eth0]:22".into(), "ip", "[…%eth0]:22"),
        ("2001:0db8:0000:0000:0000:ff00:0042:8329".into(), "ip", "…"),
        ("mapped ::ffff:203.0.113.9 ok".into(), "ip", "mapped … ok"),
        ("addr fe80::1: up".into(), "ip", "addr …: up"),
        ("card 4111111111111111 declined".into(), "card", "card … declined"),
        ("card 4111 1111 1111 1111, exp".into(), "card", "card …, exp"),
        ("3782-822463-10005".into(), "card", "…"),
        ("pan=5555555555554444;".into(), "card", "pan=…;"),
        ("to DE89370400440532013000 done".into(), "iban", "to … done"),
        ("to GB82 WEST 1234 5698 7654 32 done".into(), "iban", "to … done"),
        (format!("cookie jar {jwt} end"), "jwt", "cookie jar … end"),
        (format!("Bearer {jwt}"), "auth", "Bearer …"),
        ("authorization: Bearer abcdef".into(), "secret", "authorization: Bearer …"),
        (r#"{"Authorization":"Basic YW5uOnB3"}"#.into(), "secret", r#"{"Authorization":"Basic …"}"#),
        ("got Basic YW5uOnB3ZA== here".into(), "auth", "got Basic … here"),
        ("postgres://app:s3cr/t@db.example:5432/x".into(), "password", "postgres://app:…@db.example:5432/x"),
        ("redis://:hunter2@cache:6379".into(), "password", "redis://:…@cache:6379"),
        ("password=hunter2 user=ann".into(), "secret", "password=… user=ann"),
        ("DB_PASSWORD = 'a b;c' next".into(), "secret", "DB_PASSWORD = '…' next"),
        (r#"{"apiKey": "abc\"def", "n": 1}"#.into(), "secret", r#"{"apiKey": "…", "n": 1}"#),
        (r#""{\"token\":\"abc\",\"n\":1}""#.into(), "secret", r#""{\"token\":\"…\",\"n\":1}""#),
        ("client-secret: abc123".into(), "secret", "client-secret: …"),
        ("password: hunter".into(), "secret", "password: …"),
        ("?user=1&access_token=abc&x=1".into(), "secret", "?user=1&access_token=…&x=1"),
        (r#"Authorization: Token token="abc", x=1"#.into(), "secret", "Authorization: …"),
        (
            r#"Authorization: Digest username="bob", response="6629f""#.into(),
            "secret",
            "Authorization: Digest …",
        ),
        ("Authorization: Digest username=bob response=6629f".into(), "secret", "Authorization: Digest …"),
        ("Cookie: sid=\"s3cr3t\"; x=1\r\nHost: a".into(), "secret", "Cookie: …\r\nHost: a"),
        ("Set-Cookie: -; sid=s3cr3t".into(), "secret", "Set-Cookie: …"),
        ("authorization:\tBearer\tabcdef".into(), "secret", "authorization:\tBearer\t…"),
        ("got Bearer\tabc12345 here".into(), "auth", "got Bearer\t… here"),
        ("authorization=Bearer%20abc&x".into(), "secret", "authorization=Bearer…"),
        ("authorization: Bearer $x,y z\nnext".into(), "secret", "authorization: Bearer …\nnext"),
        (
            r#"-H "Authorization: Bearer abc" http://a"#.into(),
            "secret",
            r#"-H "Authorization: Bearer …" http://a"#,
        ),
        (
            r#"{"Authorization": "Bearer a b", "n": 1}"#.into(),
            "secret",
            r#"{"Authorization": "Bearer …", "n": 1}"#,
        ),
        ("--password\thunter2".into(), "secret", "--password\t…"),
        ("the admin password: letmein".into(), "secret", "the admin password: …"),
        ("got cookie: abc; sid=x".into(), "secret", "got cookie: …"),
        ("SECRET_KEY_BASE=abc".into(), "secret", "SECRET_KEY_BASE=…"),
        ("PHPSESSID=abc;".into(), "secret", "PHPSESSID=…;"),
        ("?X-Amz-Signature=fe5f80&x".into(), "secret", "?X-Amz-Signature=…&x"),
        ("&sig=a1B2c3D4e5F6g7H8%3D&x".into(), "secret", "&sig=…&x"),
        ("RAILS_MASTER_KEY: abc".into(), "secret", "RAILS_MASTER_KEY: …"),
        ("session=8c1f0e2d4b6a7980 opened".into(), "secret", "session=… opened"),
        (r#""session": "8c1f0e2d4b6a7980""#.into(), "secret", r#""session": "…""#),
        ("来自203.0.113.9的登录".into(), "ip", "来自…的登录"),
        ("“2001:db8::7”".into(), "ip", "“…”"),
        ("卡号4111111111111111被拒".into(), "card", "卡号…被拒"),
        ("\u{a0}DE89370400440532013000\u{a0}".into(), "iban", "\u{a0}…\u{a0}"),
        (format!("“{github}”"), "key", "“…”"),
        (format!("令牌{jwt}。"), "jwt", "令牌…。"),
        (format!("é{random}é"), "random", "é…é"),
        ("to ann@exämple.de now".into(), "email", "to … now"),
        ("to jürgen@example.com now".into(), "email", "to … now"),
        ("«ann@example.рф»".into(), "email", "«…»"),
        ("“ann@example.com”,\u{a0}".into(), "email", "“…”,\u{a0}"),
        ("码VCH12345。".into(), "voucher", "码…。"),
        ("in Ärea-77 now".into(), "area", "in … now"),
        ("password=пароль next".into(), "secret", "password=… next"),
        (r#"{"password": "!@#$%^*"}"#.into(), "secret", r#"{"password": "…"}"#),
        ("token=${realsecret next".into(), "secret", "token=… next"),
        (r#"token="{{x7""#.into(), "secret", r#"token="…""#),
        (r#"token="${API_KEY}x7""#.into(), "secret", r#"token="…""#),
        ("password=%secret% next".into(), "secret", "password=… next"),
        (r#"run --password "-hunter2" now"#.into(), "secret", r#"run --password "…" now"#),
        ("db_pass=12345678 fail=0".into(), "secret", "db_pass=… fail=0"),
        ("smtp.pass: 271828".into(), "secret", "smtp.pass: …"),
        ("pass=31415926 user=ann".into(), "secret", "pass=… user=ann"),
        (r#""pass": "1234""#.into(), "secret", r#""pass": "…""#),
        (r#""password": ["x"], "n": 1"#.into(), "secret", r#""password": ["…"], "n": 1"#),
        (r#"{"secret": ["a", "b c"], "n": ["d"]}"#.into(), "secret", r#"{"secret": ["…"], "n": ["d"]}"#),
        (r#""token": [ "***", 'x',"y" ]"#.into(), "secret", r#""token": [ "***", '…" ]"#),
        (r#"{\"pwd\":[\"a]b\"]}"#.into(), "secret", r#"{\"pwd\":[\"…\"]}"#),
        ("\"Authorization\": [\n  \"Bearer abc\"\n]".into(), "secret", "\"Authorization\": [\n  \"…\"\n]"),
        (r#""password": ["x"#.into(), "secret", r#""password": ["…"#),
        ("password =                    hunter2 x".into(), "secret", "password =                    … x"),
        ("password                      : hunter2".into(), "secret", "password                      : …"),
        ("--password                    hunter2".into(), "secret", "--password                    …"),
        ("got Bearer               abc12345 here".into(), "auth", "got Bearer               … here"),
        ("Cookie: sid=1; theme=dark".into(), "secret", "Cookie: …"),
        ("run --db-password hunter2 --verbose".into(), "secret", "run --db-password … --verbose"),
        ("run --token=abc".into(), "secret", "run --token=…"),
        (format!("pushed with {github}."), "key", "pushed with …."),
        (format!("id {aws} used"), "key", "id … used"),
        (slack, "key", "…"),
        (stripe, "key", "…"),
        (format!("key:\n{pem}\nend"), "private-key", "key:\n…\nend"),
        (cut, "private-key", "…"),
        (format!("nonce {random}=="), "random", "nonce …"),
        ("call +49 30 901820 now".into(), "phone", "call … now"),
        ("call +1 (415) 555-2671".into(), "phone", "call …"),
        ("id 0b23bd3e-876a-4af3-b920-c50a90c90b04;".into(), "uuid", "id …;"),
        ("Frau Müllers Konto".into(), "name", "Frau …s Konto"),
        ("project blue heron".into(), "codename", "project …"),
        ("code VCH12345 used".into(), "voucher", "code … used"),
        ("for CUST-004711.".into(), "customer", "for …."),
        ("car AB-1X#-0042 in".into(), "plate", "car … in"),
    ];
    let masker = masker(everything());
    for (text, label, rest) in cases {
        let masked = masker.mask(&text);
        assert_eq!(outline(&masked), (vec![label.to_owned()], rest.to_owned()), "{text}");
        assert_eq!(masker.mask(&masked), masked, "{text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let masker = masker(MaskOptions::default());
    for text in [
        "",
        "version 1.2.3.4 of openssl-3.0.2",
        "libfoo.so.1.2.3.4.5 and v1.2.3.4",
        "Chrome/100.0.4896.60",
        "127.0.0.1:8080 0.0.0.0 255.255.255.0 ::1 [::]:80",
        "999.1.1.1 and 1.2.3",
        "2026-11-21T12:34:56.789Z 12:34:56 1674981784 1674981784123 1674981784123456 1674981784123456789",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
        "commit 9608a22d1f0c5b1f5a3c1c7a2f4f5bb6d1e7c0aa",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "0b23bd3e-876a-4af3-b920-c50a90c90b04",
        "pod ts-contacts-service-866bd68c97-xcqfx on node-3.eu-west-1.compute.internal",
        "std::sync::mpsc a::b dead::beef AA:BB:CC:DD:EE:FF",
        "git@github.com:org/repo.git react@18.2.0 getty@tty1.service user@host",
        "card 4111111111111112 and 1234567812345678 and 0000000000000000",
        "DE00370400440532013000 DE8937040044053201300",
        "AbstractAnnotationConfigDispatcherServletInitializer2Test",
        "org/springframework/web/servlet/DispatcherServlet3Test.java",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
        "tokens=512 max_tokens: 4096 token_count=3 bypass=yes keyboard=us monkey: 3",
        "pass=12 fail=0",
        "pass=1234567 fail=0 first_pass=2 test-pass: 99999 render.pass=0",
        "\"password\": [], \"token\": [\"\", \"***\", \"${TOKEN}\"], \"tokens\": [\"a\"]",
        "password=*** token=<redacted> secret: null apikey=${API_KEY} pwd={{ vault }}",
        "password=${{ secrets.DB }} token=\"{{ .Values.token }}\" secret=%DB_PASSWORD% pwd=\"<>\" token=...",
        "\"password\": {\"n\": 1}, \"secret\": {\"a\": [\"b\"]}",
        "Invalid token: unexpected end of input",
        "invalid cookie: no value",
        "Authorization: Bearer",
        "session=42 opened, session: authentication-service sig=11 Session: closed",
        "Authorization: Bearer ${TOKEN}",
        "Basic authentication failed, bearer expected, basic services up",
        "http://host:8080/path?x=a@b https://example.com/@user/x",
        "+49 30 901820 and 555-1234",
        "key=value a=b c:d x==y",
        "-----BEGIN CERTIFICATE-----",
        "[masked] [email:] [x]",
        "blk_-1608999687919862906 size 67108864",
        "--help --token --verbose",
        "skill-based sk-learn hvs.x AIzawa",
        "数据库连接失败：重试 3 次",
        "🔥 latency 12.5ms",
    ] {
        assert!(matches!(masker.mask(text), Cow::Borrowed(same) if same == text), "{}", masker.mask(text));
    }
}

#[test]
fn equal_values_have_equal_tokens_under_one_key() {
    let one = masker(MaskOptions::default());
    let token = |masker: &Masker, text: &str| masker.mask(text).into_owned();
    assert_eq!(token(&one, "ann@example.com"), token(&one, "ANN@Example.com"));
    assert_eq!(token(&one, "4111111111111111"), token(&one, "4111-1111-1111-1111"));
    assert_eq!(token(&one, "GB82WEST12345698765432"), token(&one, "GB82 WEST 1234 5698 7654 32"));
    assert_ne!(token(&one, "ann@example.com"), token(&one, "bob@example.com"));
    let other = Masker::new(&MaskConfig::default(), MaskKey::new([8; 32])).unwrap();
    assert_ne!(token(&one, "ann@example.com"), token(&other, "ann@example.com"));
    // One mask leaves the tokens of another alone.
    let masked = token(&one, "ann@example.com 10.1.2.3");
    assert_eq!(token(&other, &masked), masked);
    let keys = [b"0123456789abcdef".as_slice(), b"0123456789abcdeg"].map(|m| MaskKey::derive(m).unwrap());
    let [a, b] = keys.map(|key| token(&Masker::new(&MaskConfig::default(), key).unwrap(), "10.1.2.3"));
    assert_ne!(a, b);
    assert!(MaskKey::derive(b"short").is_err());
    assert_eq!(format!("{:?}", MaskKey::new([1; 32])), "MaskKey(..)");
    assert!(!format!("{:?}", masker(everything())).contains("heron"));
}

#[test]
fn several_secrets_of_one_line() {
    let masker = masker(everything());
    let line = "ann@example.com,10.1.2.3,password=x9 Müller blue heronCUST-123456 bob@example.com/10.1.2.4";
    let (labels, rest) = outline(&masker.mask(line));
    assert_eq!(labels, ["email", "ip", "secret", "name", "codename", "customer", "email", "ip"]);
    assert_eq!(rest, "…,…,password=… … …… …/…");
    // A literal inside of something else does not show its rest.
    let (labels, rest) = outline(&masker.mask("Müller@example.com and xMüllerx@example.com"));
    assert!(!rest.contains("ller") && labels.len() >= 2, "{labels:?} {rest}");
}

#[test]
fn rules_can_be_switched_off() {
    let off = MaskOptions {
        email: false,
        ip: false,
        card: false,
        iban: false,
        jwt: false,
        auth: false,
        url: false,
        setting: false,
        key: false,
        private_key: false,
        random: false,
        ..MaskOptions::default()
    };
    let text = made(&[
        "a@b.example 10.1.2.3 ::ffff:10.1.2.3 4111111111111111 DE89370400440532013000 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.x ",
        "Bearer abc12345 x://u:p@h password=x AKIA",
        "Q3EGRZ5EXAMPLE7A -----BEGIN PRIVATE",
        " KEY----- dGhpc0lzQ3p7Qx9Zk2LmPq8Rt4Vw",
    ]);
    assert_eq!(masker(off).mask(&text), text);
}

#[test]
fn settings_are_checked() {
    let with = |change: &dyn Fn(&mut MaskOptions)| {
        let mut options = MaskOptions::default();
        change(&mut options);
        MaskConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(with(&|o| o.random_min_length = 15), "random_min_length");
    assert_eq!(with(&|o| o.random_bits = f64::NAN), "random_bits");
    assert_eq!(with(&|o| o.random_changes = 1.1), "random_changes");
    let pattern = |label: &str, form: Form| {
        let patterns = vec![Pattern { label: label.to_owned(), form }];
        MaskConfig::try_from(MaskOptions { patterns, ..MaskOptions::default() }).map_err(|e| e.to_string())
    };
    let literal = |text: &str| Form::Literal(text.to_owned());
    let shape = |text: &str| Form::Shape(text.to_owned());
    for label in ["", "A", "1a", "a b", "a]", &"a".repeat(33)] {
        assert!(pattern(label, literal("abc")).unwrap_err().contains("patterns.label"), "{label}");
    }
    assert!(pattern("x", shape("\\#a#")).is_err() && pattern("x", shape("\\a?#")).is_ok());
    // The text of a pattern may be a secret.
    let shown = format!("{:?}", MaskConfig::try_from(everything()).unwrap());
    for text in ["heron", "Müller", "VCH", "CUST", "??"] {
        assert!(!shown.contains(text), "{shown}");
    }
    assert!(shown.contains("Literal(10 bytes)") && shown.contains("codename"), "{shown}");
    assert!(!pattern("A", literal("hunter2")).unwrap_err().contains("hunter2"));
    for form in [
        literal("ab"),
        literal(&"a".repeat(1025)),
        shape("##"),
        shape("abc"),
        shape("##\\"),
        shape("-##"),
        shape(&"#".repeat(65)),
        Form::Prefix { text: "a".to_owned(), least: 1 },
        Form::Prefix { text: "-a".to_owned(), least: 1 },
        Form::Prefix { text: "\\a".to_owned(), least: 1 },
        shape("\\\\a#"),
        shape("\\-#a"),
        Form::Prefix { text: "ab".to_owned(), least: 0 },
    ] {
        assert!(pattern("x", form.clone()).is_err(), "{form:?}");
    }
    let too_many = vec![Pattern { label: "x".to_owned(), form: shape("###") }; 65];
    assert_eq!(with(&|o| o.patterns = too_many.clone()), "patterns");
    let json = serde_json::to_string(&MaskConfig::try_from(everything()).unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<MaskConfig>(&json).unwrap().options(), &everything());
    assert!(serde_json::from_str::<MaskConfig>(r#"{"emails": true}"#).is_err());
    assert!(serde_json::from_str::<MaskConfig>(r#"{"random_bits": 9}"#).is_err());
}

/// Text of pieces that rules look for, so that chance builds hard cases.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "@",
        ".",
        ":",
        "::",
        "=",
        "-",
        "--",
        "/",
        "://",
        " ",
        "\n",
        "\"",
        "'",
        "\\",
        "[",
        "]",
        "+",
        "a",
        "x1",
        "ann",
        "example",
        "com",
        "10",
        "1",
        "255",
        "fe80",
        "4111111111111111",
        "4111",
        "DE89370400440532013000",
        "password",
        "token",
        "pass",
        "Bearer",
        "Basic",
        "eyJhbGciOiJI",
        "AKIAQ3EGRZ5EXAMPLE7A",
        "sk-",
        "blue heron",
        "Müller",
        "VCH12345",
        "CUST-123456",
        "-----BEGIN PRIVATE KEY-----",
        "-----END ",
        "[email:0123456789ab]",
        "ü",
        "🔥",
        "dGhpc0lzQ3p7Qx9Zk2LmPq8Rt4Vw",
        "Authorization",
        "Cookie",
        "0123456789ab",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn masking_twice_changes_nothing(text in prop_oneof![hostile(), any::<String>()]) {
        let masker = masker(everything());
        let once = masker.mask(&text).into_owned();
        prop_assert!(matches!(masker.mask(&once), Cow::Borrowed(_)), "{text:?} {once:?}");
    }

    #[test]
    fn bytes_are_masked_as_text_is(text in hostile(), noise in prop::collection::vec(any::<u8>(), 0..64)) {
        let masker = masker(everything());
        let (as_text, as_bytes) = (masker.mask(&text), masker.mask_bytes(text.as_bytes()));
        prop_assert_eq!(as_text.as_bytes(), as_bytes.as_ref());
        let once = masker.mask_bytes(&noise).into_owned();
        let twice = masker.mask_bytes(&once).into_owned();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn an_address_is_found_wherever_it_stands(
        before in "[ -~]{0,20}", local in "[a-z0-9]{1,10}", domain in "[a-z0-9]{1,10}\\.[a-z]{3,6}", after in "[ -~]{0,20}"
    ) {
        prop_assume!(!["service", "socket", "target", "timer", "mount", "slice", "device", "scope", "path", "swap"]
            .iter().any(|unit| domain.ends_with(&format!(".{unit}"))) && local != "git");
        let address = format!("{local}@{domain}");
        let masked = masker(MaskOptions::default()).mask(&format!("{before} {address} {after}")).into_owned();
        prop_assert!(!masked.contains(&address), "{masked}");
    }

    #[test]
    fn a_password_is_found_whatever_it_is(
        quoted in "[^\"\\\\\\p{Cc}]{1,30}", bare in "[^\"'`,;&()<>{}\\[\\]\\\\=:\\s\\p{Cc}]{1,30}"
    ) {
        let masker = masker(MaskOptions::default());
        if !tells_nothing(&quoted) {
            let masked = masker.mask(&format!("{{\"password\": \"{quoted}\"}}")).into_owned();
            prop_assert_eq!(outline(&masked), (vec!["secret".to_owned()], "{\"password\": \"…\"}".to_owned()));
        }
        if !tells_nothing(&bare) {
            let masked = masker.mask(&format!("password={bare} next")).into_owned();
            prop_assert_eq!(outline(&masked), (vec!["secret".to_owned()], "password=… next".to_owned()));
        }
    }
}

/// The check digit of ISO/IEC 7812-1, said otherwise than the rule says it.
fn passes_luhn(digits: &str) -> bool {
    let doubled = |d: u32| [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][d as usize];
    let digits = digits.chars().rev().map(|c| c.to_digit(10).unwrap());
    digits.enumerate().map(|(i, d)| if i % 2 == 1 { doubled(d) } else { d }).sum::<u32>().is_multiple_of(10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// The standard library decides what an address is; the documented exceptions are left alone.
    #[test]
    fn quads_are_masked_as_the_standard_library_reads_them(parts in prop::array::uniform4(0..300_u16)) {
        let quad = parts.map(|part| part.to_string()).join(".");
        let read: Option<std::net::Ipv4Addr> = quad.parse().ok();
        let nobody = |ip: &std::net::Ipv4Addr| {
            ip.is_loopback() || ip.is_unspecified() || matches!(ip.octets(), [255, 255, ..])
        };
        let masked = masker(MaskOptions::default()).mask(&format!("from {quad} port")).into_owned();
        let expected = if read.is_some_and(|ip| !nobody(&ip)) { "from … port" } else { &format!("from {quad} port") };
        prop_assert_eq!(outline(&masked).1, expected);
    }

    #[test]
    fn cards_are_told_from_numbers_by_their_check_digit(number in "(4[0-9]{15}|5[1-5][0-9]{14}|3[47][0-9]{13})") {
        let masked = masker(MaskOptions::default()).mask(&format!("paid {number}.")).into_owned();
        let rest = if passes_luhn(&number) { "paid …." } else { &format!("paid {number}.") };
        prop_assert_eq!(outline(&masked).1, rest);
    }

    /// Counters, sizes, ports, times and identifiers under ordinary names are what diagnosis reads.
    #[test]
    fn ordinary_numbers_stay(
        name in "(count|size|port|took_ms|first_pass|pass|id|status|x|offset|tokens)", sign in "(=|: | = |:)", number in 0..10_000_u64,
        fraction in 0..100_u32
    ) {
        let masker = masker(MaskOptions::default());
        for text in [format!("{name}{sign}{number} of {fraction}"), format!("{name}{sign}{number}.{fraction}, next")] {
            prop_assert_eq!(masker.mask(&text), text.as_str());
        }
    }

    /// Lines masked one by one are the text masked at once, where nothing spans lines (keys in PEM, quotes, lists). // CMP-07
    #[test]
    fn line_by_line_is_at_once(lines in prop::collection::vec(prop::sample::select(vec![
        "login of ann@example.com from 203.0.113.9", "password=hunter2", "GET /api/v1/orders/17 took 12.5 ms", "", " ",
        "Authorization: Bearer abc", "Cookie: a=1; b=2", "card 4111 1111 1111 1111", "[worker-3] token: dGhpc0lzQ3p7Qx9Zk2LmPq8Rt4Vw",
        "2026-11-21T12:34:56Z INFO kernel: eth0 up", "db_pass=12345678", "--password", "hunter2", "Bearer", "secret:",
    ]), 0..12)) {
        let masker = masker(everything());
        let apart: Vec<String> = lines.iter().map(|line| masker.mask(line).into_owned()).collect();
        let whole = lines.join("\n");
        prop_assert_eq!(masker.mask(&whole), apart.join("\n"));
    }
}

/// What stands beside a number in text that is not English.
fn neighbour() -> impl Strategy<Value = String> {
    let mark = prop::sample::select(vec!["“", "”", "\u{a0}", "，", "…", "«", "\u{3000}", "🔥"]);
    prop_oneof![mark.prop_map(str::to_owned), "[一-龥]", "\\p{Cyrillic}", "[à-ÿ]"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_hides_beside_characters_beyond_ascii(
        before in neighbour(), after in neighbour(), octets in any::<[u8; 2]>(), local in "[a-zà-ÿ]{3,9}", email in any::<bool>()
    ) {
        let masker = masker(MaskOptions::default());
        let [a, b] = octets;
        let (key, address) = (made(&["AKIA", "Q3EGRZ5EXAMPLE7A"]), format!("{local}@exämple.com"));
        let found = [
            (format!("10.{a}.{b}.7"), "ip"),
            (format!("2001:db8::{a:x}:{b}"), "ip"),
            ("4111 1111 1111 1111".to_owned(), "card"),
            ("GB82WEST12345698765432".to_owned(), "iban"),
            (key, "key"),
        ];
        for (value, label) in found {
            let masked = masker.mask(&format!("{before}{value}{after}")).into_owned();
            prop_assert_eq!(outline(&masked), (vec![label.to_owned()], format!("{before}…{after}")));
        }
        // Letters beside an address may be part of it, and go with it.
        let text = if email { format!("{before}{address}") } else { format!("{address}{after}") };
        let masked = masker.mask(&text).into_owned();
        prop_assert!(masked.contains("[email:") && !masked.contains(&local) && !masked.contains("mple"), "{masked}");
    }
}

/// Whether the documented placeholders, said otherwise than the rules say it, include `value`.
fn tells_nothing(value: &str) -> bool {
    let value = value.trim_ascii();
    let words =
        ["null", "none", "nil", "true", "false", "undefined", "hidden", "masked", "filtered", "redacted"];
    let words = words.into_iter().chain(["empty", "unset"]);
    let enclosed =
        ["${", "{{", "%", "${{"].iter().any(|open| value.starts_with(open)) && value.ends_with(['}', '%']);
    value.chars().all(|c| "*.-<>xX".contains(c))
        || words.into_iter().any(|word| value.trim_matches(['<', '>', '[', ']']).eq_ignore_ascii_case(word))
        || enclosed
}

/// Twice the length may not take four times as long: the longest input is 64 times the shortest.
#[test]
fn time_is_linear_on_hostile_input() {
    let masker = masker(everything());
    for piece in [
        "a@",
        "@",
        "://a:b/",
        "token=",
        "-",
        "--a",
        "1:",
        "::",
        "eyJ.",
        "sk-.",
        "a=",
        "AbC1-",
        "1.",
        "4111 ",
        "[a:",
        "password=\"",
        "DE89",
        "-----BEGIN ",
        "VCH1-",
        "blue hero",
        "x=eyJhbGciOiJI.",
        "Basic ",
        "+1 ",
        "'pwd':",
        "ab-",
        "é",
        "Ärea-",
        "é@",
        "é.",
        "token=${",
        "token={{",
        "token=%A",
        "authorization=basic%",
        "authorization=bearer ",
        "a cookie:a ",
        "session=a",
        "session=!",
        "sig='",
        "pass=1",
        "password=[\"",
        "password=[\"\",",
        "pwd = ",
        "pwd=                                ",
        "                                =",
        "Bearer          ",
        "--pwd           ",
    ] {
        let seconds = |bytes: usize| {
            // What follows the pieces may spoil what was taken for found.
            let text = piece.repeat(bytes / piece.len()) + "é";
            let times = (0..3).map(|_| {
                let start = std::time::Instant::now();
                let _ = masker.mask(&text);
                start.elapsed().as_secs_f64()
            });
            times.fold(f64::INFINITY, f64::min)
        };
        let (short, long) = (seconds(4_000), seconds(256_000));
        assert!(long < 64.0 * 6.0 * short.max(2e-5), "{piece:?}: {short} s for 4 kB, {long} s for 256 kB");
    }
}
