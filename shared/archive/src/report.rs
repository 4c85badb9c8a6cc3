//! CSV reports for people with spreadsheets: cells that a spreadsheet would run as formulas are defused.
//!
//! Unlike an archive's files, a report does not hold exact values: `'` is put in front of text that begins like a
//! formula (OWASP, "CSV Injection"). Spreadsheets disagree on where a cell begins. In locales with a decimal comma they
//! split lines at `;` and ignore the quotes around a value. So a part after a `;`, a tab or a line end can become a
//! cell and is defused too. A value with such a part is quoted, for spreadsheets that split at all of these.
//!
//! A part that already begins with `'` is treated as if it did not. So every value is restored by removing one `'`
//! wherever a formula would follow. `docs/admin.md` has the line for this.

use crate::csv::{write_quoted, write_value};

/// After these a spreadsheet may begin another cell.
const CELL_ENDS: [char; 4] = [';', '\t', '\r', '\n'];

/// The first characters of formulas, also in full width, as some input methods write them.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Characters that may precede a formula: spreadsheets skip spaces and take quotes for those around a cell.
const SKIPPED: [char; 3] = ['\'', '"', ' '];

/// Appends a line of `cells` to `out`.
pub fn write_line<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let cell = defused(cell);
        if cell.contains(CELL_ENDS) {
            write_quoted(cell.as_bytes(), out);
        } else {
            write_value(cell.as_bytes(), out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The cell with `'` in front of every part that would begin like a formula. A plain number stays as it is.
fn defused(cell: &str) -> String {
    if is_plain_number(cell) {
        return cell.to_owned();
    }
    let mut safe = String::with_capacity(cell.len());
    // Spreadsheets trim tabs and line ends at the beginning of a cell.
    if begins_like_a_formula(cell) || cell.trim_start_matches(SKIPPED).starts_with(['\t', '\r']) {
        safe.push('\'');
    }
    for (place, part) in cell.split_inclusive(CELL_ENDS).enumerate() {
        if place > 0 && begins_like_a_formula(part) {
            safe.push('\'');
        }
        safe.push_str(part);
    }
    safe
}

/// `-inf` and `+nan` are numbers to Rust, and names in a formula to a spreadsheet.
fn is_plain_number(cell: &str) -> bool {
    cell.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) && cell.parse::<f64>().is_ok()
}

fn begins_like_a_formula(part: &str) -> bool {
    part.trim_start_matches(SKIPPED).starts_with(FORMULA_STARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut out = Vec::new();
        write_line(cells.iter().copied(), &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_defused() {
        assert_eq!(
            line(&["7", "=1+1", "+49 30 1", "-5.2", "-1+1", "@a", "\tx", "a=b"]),
            "7,'=1+1,'+49 30 1,-5.2,'-1+1,'@a,\"'\tx\",a=b\r\n"
        );
        assert_eq!(line(&["-inf", "+nan", "-Infinity", "+1e5", "-.5"]), "'-inf,'+nan,'-Infinity,+1e5,-.5\r\n");
        assert_eq!(line(&["=\"a,b\"", "", "\r"]), "\"'=\"\"a,b\"\"\",,\"'\r\"\r\n");
        assert_eq!(line(&[" =1+1", "＝1+1", "\"=1+1"]), "' =1+1,'＝1+1,\"'\"\"=1+1\"\r\n");
    }

    /// C7: in locales with `;` as the list separator, each part of a value can become a cell.
    #[test]
    fn parts_that_become_cells_elsewhere_are_defused() {
        assert_eq!(line(&["a;=1+1;b"]), "\"a;'=1+1;b\"\r\n");
        assert_eq!(line(&[";=1+1", "a\n=1+1;", "a\t@x"]), "\";'=1+1\",\"a\n'=1+1;\",\"a\t'@x\"\r\n");
        assert_eq!(line(&["a;\"=1+1;", "a; =1+1"]), "\"a;'\"\"=1+1;\",\"a;' =1+1\"\r\n");
        assert_eq!(line(&["a;b", "a\r\nb"]), "\"a;b\",\"a\r\nb\"\r\n");
    }

    /// C7: in a spreadsheet that splits at `;`, no cell begins like a formula, however it treats quotes.
    #[test]
    fn no_cell_begins_like_a_formula_when_lines_are_split_at_semicolons() {
        let naughty = ["=1", ";=1", "\";\"=1", "x\";=1;\"", ";;-1;\r\n+1", "\";\"\";@a", ";' =1", "1;2", "a,=1;=2"];
        for (one, other) in naughty.iter().flat_map(|one| naughty.iter().map(move |other| (one, other))) {
            let line = line(&["7", one, other, "end"]);
            let mut cells = line.split(CELL_ENDS).map(|cell| cell.trim_start_matches(['"', ' ']));
            assert!(cells.all(|cell| !cell.starts_with(FORMULA_STARTS)), "{line}");
        }
    }
}
