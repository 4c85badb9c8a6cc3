//! CSV as in RFC 4180, and nothing else: every line ends with CRLF, and a field is in quotes or contains no quote,
//! comma or line end.

/// The cells of every line. None if this is not such a file.
pub(crate) fn read(text: &[u8]) -> Option<Vec<Vec<Vec<u8>>>> {
    let (mut lines, mut line, mut rest) = (Vec::new(), Vec::new(), text);
    while !rest.is_empty() {
        let (cell, after) = cell(rest)?;
        line.push(cell);
        rest = match after {
            [b',', after @ ..] => after,
            [b'\r', b'\n', after @ ..] => {
                lines.push(std::mem::take(&mut line));
                after
            }
            _ => return None,
        };
        // A comma at the very end would begin a cell without a line end.
        if rest.is_empty() && !line.is_empty() {
            return None;
        }
    }
    Some(lines)
}

fn cell(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| b",\r\n\"".contains(byte))?;
        let (cell, after) = text.split_at(end);
        return Some((cell.to_vec(), after));
    };
    let mut cell = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'"')?;
        cell.extend_from_slice(rest.get(..end)?);
        rest = rest.get(end + 1..)?;
        match rest.strip_prefix(b"\"") {
            Some(after) => rest = after,
            None => return Some((cell, rest)),
        }
        cell.push(b'"');
    }
}

#[test]
fn only_csv_of_the_rfc_is_read() {
    let read = |text: &str| {
        let lines = read(text.as_bytes())?;
        let cells = |line: Vec<Vec<u8>>| line.into_iter().map(|cell| String::from_utf8(cell).expect("text")).collect();
        Some(lines.into_iter().map(cells).collect::<Vec<Vec<String>>>())
    };
    assert_eq!(
        read("a,\"b,\"\"\r\n\",\r\n\r\n"),
        Some(vec![vec!["a".into(), "b,\"\r\n".into(), String::new()], vec![String::new()]])
    );
    for bad in ["a", "a\n", "a\r", "a\"b\r\n", "\"a\"b\r\n", "\"a\r\n", "a,", "a\rb\r\n"] {
        assert_eq!(read(bad), None, "{bad:?}");
    }
}
