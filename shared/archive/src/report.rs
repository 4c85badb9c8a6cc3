//! CSV reports for people, who open them with a spreadsheet: cells that it would run as formulas are defused.
//!
//! Unlike the files of an archive, a report need not hold the exact value: a cell that begins with `=`, `+`, `-`, `@`, a
//! tab or a carriage return is prefixed with `'` (OWASP, "CSV Injection"), unless it is a plain number.

use crate::csv::write_value;

/// Appends a line of `cells` to `out`.
pub fn write_line<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if would_run(cell) {
            write_value(format!("'{cell}").as_bytes(), out);
        } else {
            write_value(cell.as_bytes(), out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn would_run(cell: &str) -> bool {
    match cell.as_bytes().first() {
        Some(b'=' | b'@' | b'\t' | b'\r') => true,
        Some(b'+' | b'-') => cell.parse::<f64>().is_err(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_defused() {
        let line = |cells: &[&str]| {
            let mut out = Vec::new();
            write_line(cells.iter().copied(), &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(
            line(&["7", "=1+1", "+49 30 1", "-5.2", "-1+1", "@a", "\tx", "a=b"]),
            "7,'=1+1,'+49 30 1,-5.2,'-1+1,'@a,'\tx,a=b\r\n"
        );
        assert_eq!(line(&["=\"a,b\"", "", "\r"]), "\"'=\"\"a,b\"\"\",,\"'\r\"\r\n");
    }
}
