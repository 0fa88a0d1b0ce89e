//! The help of every command.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Workplace;

/// The commands that the help of a command lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // A long description continues in lines that are indented further.
    let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names.map(|line| line.split(' ').next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

/// Help without the section that is the same for every command.
fn own_part(help: &str) -> String {
    let is_title = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut global = false;
    let own = help.lines().filter(|line| {
        if is_title(line) {
            global = *line == "Global options:";
        }
        !global
    });
    own.flat_map(|line| [line.trim_end(), "\n"]).collect()
}

#[test]
fn every_command_explains_itself() {
    let here = Workplace::new();
    let _filters = here.filters();
    let mut open = vec![Vec::new()];
    let mut names = BTreeSet::new();
    while let Some(command) = open.pop() {
        let help = |flag: &'static str| {
            let arguments: Vec<&str> = command.iter().map(String::as_str).chain([flag]).collect();
            let ran = here.run(&arguments).ok();
            assert_eq!(ran.stderr, "");
            let help = if command.is_empty() { ran.stdout } else { own_part(&ran.stdout) };
            format!("$ aaclip {}\n{help}", arguments.join(" "))
        };
        let short = help("-h");
        open.extend(commands(&short).into_iter().map(|name| [&command[..], &[name]].concat()));
        let name = [&["help".to_owned()], &command[..]].concat().join("-");
        let both = format!("{short}\n{}", help("--help"));
        insta::assert_snapshot!(name.as_str(), both);
        names.insert(format!("cli__help__{name}.snap"));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots");
    let kept = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let kept: BTreeSet<String> =
        kept.filter(|name| name.starts_with("cli__help__") && name.ends_with(".snap")).collect();
    assert_eq!(kept, names, "a snapshot of a command that does not exist any more is to be deleted");
}
