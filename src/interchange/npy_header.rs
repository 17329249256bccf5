//! The dictionary in a `.npy` header: Python's spelling, read by hand and without trust.
//!
//! Owns its grammar as far as NumPy writes it: three keys in any order, either quote, a trailing comma. It never
//! panics and never allocates by what the header claims.

use std::str::Chars;

/// Type of the numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    /// `<f2`
    F2,
    /// `<f4`
    F4,
    /// `<f8`
    F8,
}

impl Element {
    /// Size of one number in bytes.
    pub(crate) fn size_bytes(self) -> u64 {
        match self {
            Element::F2 => 2,
            Element::F4 => 4,
            Element::F8 => 8,
        }
    }

    /// `f2`, `f4` or `f8`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Element::F2 => "f2",
            Element::F4 => "f4",
            Element::F8 => "f8",
        }
    }
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) element: Element,
    pub(crate) rows: u64,
    pub(crate) columns: u64,
}

/// The header's bytes from the magic to the first element, padded so that the data starts at a multiple of 64.
pub(crate) fn encode_header(header: &Header) -> Vec<u8> {
    let dictionary = format!(
        "{{'descr': '<{}', 'fortran_order': False, 'shape': ({}, {}), }}",
        header.element.as_str(),
        header.rows,
        header.columns
    );
    // 10 bytes stand before the dictionary, one newline after the padding.
    let total = (10 + dictionary.len() + 1).next_multiple_of(64);
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&((total - 10) as u16).to_le_bytes());
    bytes.extend_from_slice(dictionary.as_bytes());
    bytes.resize(total - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// Reads the dictionary.
///
/// # Errors
/// In words, when it is malformed or of a kind that is not supported.
pub(crate) fn parse_header(bytes: &[u8]) -> Result<Header, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "its header is not text".to_string())?;
    let mut parser = Parser { rest: text.chars() };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    parser.expect('{')?;
    loop {
        if parser.eat('}') {
            break;
        }
        let key = parser.string()?;
        parser.expect(':')?;
        match key {
            "descr" => descr = Some(parser.descr()?),
            "fortran_order" => fortran = Some(parser.boolean()?),
            "shape" => shape = Some(parser.tuple()?),
            other => return Err(format!("its header has an unknown key '{}'", other.escape_debug())),
        }
        if !parser.eat(',') {
            parser.expect('}')?;
            break;
        }
    }
    if !parser.rest.as_str().trim().is_empty() {
        return Err("its header goes on behind the dictionary".to_string());
    }
    let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
        return Err("its header lacks one of 'descr', 'fortran_order' and 'shape'".to_string());
    };
    let element = match descr {
        "<f2" => Element::F2,
        "<f4" => Element::F4,
        "<f8" => Element::F8,
        other => {
            let other = other.escape_debug();
            return Err(format!("its numbers are '{other}'; little-endian '<f4', '<f2' and '<f8' are supported"));
        }
    };
    if fortran {
        return Err("its numbers are in Fortran order; save it with numpy.ascontiguousarray".to_string());
    }
    match shape.as_slice() {
        &[rows, columns] => Ok(Header { element, rows, columns }),
        other => Err(format!("it has {} dimensions; two are wanted, one row for each vector", other.len())),
    }
}

struct Parser<'a> {
    rest: Chars<'a>,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.as_str().trim_start().chars();
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        match self.rest.as_str().strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest.chars();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.eat(wanted) { Ok(()) } else { Err(format!("its header is malformed: `{wanted}` is missing")) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.eat('"') {
            '"'
        } else {
            self.expect('\'')?;
            '\''
        };
        let (inside, rest) =
            self.rest.as_str().split_once(quote).ok_or("its header is malformed: a quote is not closed")?;
        self.rest = rest.chars();
        Ok(inside)
    }

    fn descr(&mut self) -> Result<&'a str, String> {
        if self.eat('[') {
            return Err("its rows are structures; plain '<f4', '<f2' and '<f8' are supported".to_string());
        }
        self.string()
    }

    fn word(&mut self) -> &'a str {
        self.skip_blanks();
        let text = self.rest.as_str();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest.chars();
        word
    }

    fn boolean(&mut self) -> Result<bool, String> {
        match self.word() {
            "False" => Ok(false),
            "True" => Ok(true),
            _ => Err("its header is malformed: 'fortran_order' is neither True nor False".to_string()),
        }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, String> {
        self.expect('(')?;
        let mut numbers = Vec::new();
        while !self.eat(')') {
            let word = self.word();
            numbers.push(word.parse().map_err(|_| "its header is malformed: 'shape' holds no number".to_string())?);
            if numbers.len() > 8 {
                return Err("it has more than 8 dimensions; two are wanted".to_string());
            }
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_numpy_writes() {
        let header = parse_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (15011, 384), }     \n").unwrap();
        assert_eq!(header, Header { element: Element::F4, rows: 15_011, columns: 384 });
        let other = parse_header(b"{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f2\"}").unwrap();
        assert_eq!(other, Header { element: Element::F2, rows: 2, columns: 3 });
    }

    #[test]
    fn what_is_written_is_read_and_aligned() {
        for (rows, columns) in [(0, 1), (1, 65_536), (2_147_483_648, 384)] {
            let header = Header { element: Element::F4, rows, columns };
            let bytes = encode_header(&header);
            assert_eq!(bytes.len() % 64, 0);
            assert_eq!(parse_header(&bytes[10..]).unwrap(), header);
        }
    }

    #[test]
    fn says_what_is_not_supported() {
        let reason = |descr: &str, fortran: &str, shape: &str| {
            let text = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
            parse_header(text.as_bytes()).unwrap_err()
        };
        assert!(reason("'>f4'", "False", "(1, 2)").contains("'>f4'"));
        assert!(reason("'<i8'", "False", "(1, 2)").contains("'<i8'"));
        assert!(reason("[('a', '<f4')]", "False", "(1, 2)").contains("structures"));
        assert!(reason("'<f4'", "True", "(1, 2)").contains("Fortran"));
        assert!(reason("'<f4'", "False", "(5,)").contains("1 dimensions"));
        assert!(reason("'<f4'", "False", "()").contains("0 dimensions"));
        assert!(reason("'<f4'", "False", "(1, 99999999999999999999999)").contains("shape"));
        assert!(reason("'<f4'", "False", "(1, -2)").contains("shape"));
    }

    #[test]
    fn a_cut_or_flipped_header_never_panics() {
        let good = b"{'descr': '<f4', 'fortran_order': False, 'shape': (15011, 384), }".to_vec();
        for end in 0..good.len() {
            assert!(parse_header(&good[..end]).is_err(), "cut at {end}");
        }
        for at in 0..good.len() {
            for byte in [0, b'(', b'\'', b'}', 0xff] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                // Some flips leave a header that still reads; none may panic.
                let _ = parse_header(&bytes);
            }
        }
    }
}
