//! Arguments of a call as the suite's agents write them: Python literals, by place or by name.

use serde_json::{Map, Number, Value};

/// Deepest nesting that is read.
const DEEPEST: usize = 16;

/// Arguments by place, and by name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Arguments {
    pub(super) placed: Vec<Value>,
    pub(super) named: Map<String, Value>,
}

/// Reads what stands between the parentheses of a call. O(length).
///
/// # Errors
/// In words, for what is no literal: names, calls, operators, formatted strings, sets.
pub(super) fn arguments(text: &str) -> Result<Arguments, String> {
    let mut literals = Literals { rest: text };
    let mut read = Arguments::default();
    loop {
        literals.blanks();
        if literals.rest.is_empty() {
            return Ok(read);
        }
        match literals.name() {
            Some(name) => {
                let value = literals.value(0)?;
                if read.named.insert(name.to_owned(), value).is_some() {
                    return Err(format!("{name} is given twice"));
                }
            }
            None if read.named.is_empty() => read.placed.push(literals.value(0)?),
            None => return Err("an argument by place after one by name".to_owned()),
        }
        if !literals.eat(',') && !literals.rest.is_empty() {
            return Err(literals.unexpected());
        }
    }
}

struct Literals<'a> {
    rest: &'a str,
}

impl<'a> Literals<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether `c` came next; it is behind us then, and so are blanks on both of its sides.
    fn eat(&mut self, c: char) -> bool {
        self.blanks();
        let found = self.rest.strip_prefix(c);
        self.rest = found.unwrap_or(self.rest).trim_start();
        found.is_some()
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(c) => format!("unexpected {c:?}"),
            None => "it ends too early".to_owned(),
        }
    }

    /// Letters, digits and `_` that come next.
    fn word(&self) -> &'a str {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        self.rest.split_at(end.unwrap_or(self.rest.len())).0
    }

    /// The name of an argument, when one comes next.
    fn name(&mut self) -> Option<&'a str> {
        let word = self.word();
        let value = self.rest.strip_prefix(word)?.trim_start().strip_prefix('=')?;
        (!word.is_empty()).then(|| {
            self.rest = value;
            word
        })
    }

    fn value(&mut self, deep: usize) -> Result<Value, String> {
        if deep > DEEPEST {
            return Err(format!("nested deeper than {DEEPEST}"));
        }
        self.blanks();
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.string(quote).map(Value::String),
            Some('[') => Ok(Value::Array(self.list('[', ']', deep)?.0)),
            Some('(') => {
                let (mut items, comma) = self.list('(', ')', deep)?;
                // `(x)` is x, `(x,)` is a tuple.
                Ok(if items.len() == 1 && !comma { items.remove(0) } else { Value::Array(items) })
            }
            Some('{') => self.dictionary(deep),
            Some('+' | '-' | '.' | '0'..='9') => self.number(),
            _ => {
                let word = self.word();
                let value = match word {
                    "True" | "true" => Value::Bool(true),
                    "False" | "false" => Value::Bool(false),
                    "None" | "null" => Value::Null,
                    "" => return Err(self.unexpected()),
                    _ => return Err(format!("{word:?} is no literal")),
                };
                self.rest = self.rest.strip_prefix(word).unwrap_or_default();
                Ok(value)
            }
        }
    }

    /// Values between `open` and `close`, and whether a comma was among them.
    fn list(&mut self, open: char, close: char, deep: usize) -> Result<(Vec<Value>, bool), String> {
        self.eat(open);
        let (mut items, mut comma) = (Vec::new(), false);
        while !self.eat(close) {
            items.push(self.value(deep + 1)?);
            if self.eat(',') {
                comma = true;
            } else if !self.rest.starts_with(close) {
                return Err(self.unexpected());
            }
        }
        Ok((items, comma))
    }

    fn dictionary(&mut self, deep: usize) -> Result<Value, String> {
        self.eat('{');
        let mut entries = Map::new();
        while !self.eat('}') {
            let Value::String(key) = self.value(deep + 1)? else {
                return Err("a key that is no string".to_owned());
            };
            if !self.eat(':') {
                return Err(self.unexpected());
            }
            // As in Python, the last of equal keys counts.
            entries.insert(key, self.value(deep + 1)?);
            if !self.eat(',') && !self.rest.starts_with('}') {
                return Err(self.unexpected());
            }
        }
        Ok(Value::Object(entries))
    }

    fn number(&mut self) -> Result<Value, String> {
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')));
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let digits = text.replace('_', "");
        let whole = digits.parse::<i64>().ok().map(Number::from);
        let real = || digits.parse::<f64>().ok().and_then(Number::from_f64);
        let number = whole.or_else(real).ok_or_else(|| format!("{text:?} is no number"))?;
        self.rest = rest;
        Ok(Value::Number(number))
    }

    fn string(&mut self, quote: char) -> Result<String, String> {
        let mut chars = self.rest.chars();
        chars.next();
        let mut text = String::new();
        loop {
            match chars.next() {
                None => return Err("a string without an end".to_owned()),
                Some(c) if c == quote => break,
                Some('\\') => escaped(&mut chars, &mut text)?,
                Some(c) => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }
}

/// Adds what an escape stands for; one that is none stands for itself, as in Python.
fn escaped(chars: &mut std::str::Chars<'_>, text: &mut String) -> Result<(), String> {
    let c = match chars.next() {
        None => return Err("a string without an end".to_owned()),
        Some('\n') => return Ok(()),
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some(c @ ('\\' | '\'' | '"')) => c,
        Some('x') => coded(chars, 2)?,
        Some('u') => coded(chars, 4)?,
        Some('U') => coded(chars, 8)?,
        Some(c) => {
            text.push('\\');
            c
        }
    };
    text.push(c);
    Ok(())
}

/// The character whose number stands in the next `digits` hexadecimal digits.
fn coded(chars: &mut std::str::Chars<'_>, digits: usize) -> Result<char, String> {
    let hex: String = chars.by_ref().take(digits).take_while(char::is_ascii_hexdigit).collect();
    let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits);
    code.and_then(char::from_u32).ok_or_else(|| format!("{hex:?} is no character"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_read() {
        let read =
            arguments(r#" "a\n\x41\q", -3, 2.5, [True, None,], ('x'), ('x',), {"k": 'v', }, n = 1_000 ,"#);
        let read = read.unwrap();
        let placed = json!(["a\nA\\q", -3, 2.5, [true, null], "x", ["x"], {"k": "v"}]);
        assert_eq!(Value::Array(read.placed), placed);
        assert_eq!(Value::Object(read.named), json!({"n": 1000}));
        assert_eq!(arguments(" \n").unwrap(), Arguments::default());
    }

    #[test]
    fn what_is_none_is_refused() {
        for (text, why) in [
            ("\"open", "without an end"),
            ("'a\\", "without an end"),
            ("'\\u12'", "no character"),
            ("'\\ud800'", "no character"),
            ("'\\x+1'", "no character"),
            ("name", "\"name\" is no literal"),
            ("f(1)", "\"f\" is no literal"),
            ("1 + 1", "unexpected '+'"),
            ("1 2", "unexpected '2'"),
            ("1e999", "no number"),
            ("0x1F", "no number"),
            ("[1", "ends too early"),
            ("[1 2]", "unexpected '2'"),
            ("{1: 2}", "no string"),
            ("{'a' 2}", "unexpected '2'"),
            ("{'a'}", "unexpected '}'"),
            (",", "unexpected ','"),
            ("a=1, a=2", "twice"),
            ("a=1, 2", "after one by name"),
            ("]", "unexpected ']'"),
        ] {
            let failed = arguments(text).unwrap_err();
            assert!(failed.contains(why), "{text}: {failed}");
        }
        assert!(arguments(&"[".repeat(1 << 20)).unwrap_err().contains("nested"));
    }
}
