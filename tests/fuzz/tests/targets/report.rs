//! Reports for people: each cell is read back, and no cell is a formula, wherever a spreadsheet splits the line.

use archive::report::write_line;
use fuzz::{Form, Target};

use crate::strict_csv;

const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
const CELL_ENDS: [char; 4] = [';', '\t', '\r', '\n'];

#[test]
fn fuzz_report() {
    let words = [
        "=", "+", "-", "@", ";", "\t", "\r\n", "'", "\"", " ", "=1+1", "＝", "-5.2", "inf", "nan", "1e5", "|", ",",
        "|-", "|+",
    ];
    Target::new("report", Form::Bytes, &words).fuzz(|input| {
        let text = String::from_utf8_lossy(input);
        let cells: Vec<&str> = text.split('|').collect();
        let mut out = Vec::new();
        write_line(cells.iter().copied(), &mut out);
        let lines = strict_csv::read(&out).expect("a report is CSV by the RFC");
        let [line] = lines.as_slice() else { panic!("one line became {}", lines.len()) };
        assert_eq!(line.len(), cells.len(), "cells");
        let mut defused = 0;
        for (cell, shown) in cells.iter().zip(line) {
            let shown = std::str::from_utf8(shown).expect("text");
            assert_eq!(armed(shown), *cell, "the cell does not come back from {shown:?}");
            assert!(is_number(cell) || !is_formula(shown), "a spreadsheet runs {shown:?}");
            defused += usize::from(shown != *cell);
        }
        let line = std::str::from_utf8(&out).expect("text");
        // Spreadsheets that split at semicolons ignore quotes inside a part.
        let parts = line.split(CELL_ENDS).skip(usize::from(cells.first().is_some_and(|cell| is_number(cell))));
        for part in parts {
            let part = part.trim_start_matches('"');
            assert!(!is_formula(part) || is_number(part.split(',').next().unwrap_or(part)), "split, {part:?} is run");
        }
        (defused.min(8), line.contains('"'), cells.len().min(8))
    });
}

fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches([' ', '"', '\t', '\r', '\n']).starts_with(FORMULA_STARTS)
}

/// Whether a cell is a plain number, which a spreadsheet shows as such.
fn is_number(cell: &str) -> bool {
    cell.ends_with(|last: char| last.is_ascii_digit() || last == '.')
        && cell.chars().all(|char| char.is_ascii_digit() || "+-.eE".contains(char))
        && cell.parse::<f64>().is_ok()
}

/// The shell line of docs/admin.md that restores values: removes one `'` wherever a formula would follow.
fn armed(shown: &str) -> String {
    let mut cell = String::new();
    let mut before = None;
    for (at, char) in shown.char_indices() {
        let may_begin = before.is_none_or(|before| CELL_ENDS.contains(&before));
        // What follows is looked at for few characters only: a long row of quotes would take very long otherwise.
        let defuses = char == '\'' && may_begin && {
            let after = shown[at + char.len_utf8()..].trim_start_matches(['\'', '"', ' ']);
            after.starts_with(FORMULA_STARTS) || before.is_none() && after.starts_with(['\t', '\r'])
        };
        if !defuses {
            cell.push(char);
        }
        before = Some(char);
    }
    cell
}
