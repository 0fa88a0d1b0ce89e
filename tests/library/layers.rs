//! Data flows one way: no module of the library imports a module of a higher layer, or another one of its own layer
//! above the shared tools.

use std::path::{Path, PathBuf};

/// The layers, lowest first.
const LAYERS: [&[&str]; 13] = [
    &[
        "files",
        "progress",
        "guard",
        "device",
        "lines",
        "memory",
        "passed",
        "pipeline",
        "printable",
        "provenance",
        "error",
    ],
    &["kernels", "image"],
    &["map"],
    &["metrics", "tiles", "weights"],
    &["clip"],
    &["models", "anchors"],
    &["dataset", "train"],
    &["methods"],
    &["output", "journal"],
    &["detector"],
    &["calibration", "evaluation", "batch", "worker"],
    &["page"],
    &["gallery", "serve"],
];

/// What the crate root re-exports, and from where.
const ROOT: [(&str, &str); 17] = [
    ("Error", "error"),
    ("Result", "error"),
    ("Provenance", "provenance"),
    ("is_guarded", "guard"),
    ("Components", "methods"),
    ("Method", "methods"),
    ("Detection", "detector"),
    ("Detector", "detector"),
    ("DetectorBuilder", "detector"),
    ("Detectors", "detector"),
    ("Look", "detector"),
    ("PictureName", "detector"),
    ("PreparedPicture", "detector"),
    ("Scorer", "detector"),
    ("ScorerSettings", "detector"),
    ("Source", "detector"),
    ("Timing", "detector"),
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            "cli" | "main.rs" | "lib.rs" | "error.rs" if folder.ends_with("src") => {}
            _ if path.is_dir() => sources(&path, found),
            name if name.ends_with(".rs") && name != "tests.rs" => found.push(path),
            _ => {}
        }
    }
}

/// The modules behind every `crate::` of a source, tests left out: `crate::a::b` and `crate::{a::b, c}` on one line or
/// several. Comments may name any module.
fn imports(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        let name = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let Some(group) = rest.strip_prefix('{') else {
            found.push(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => found.push(name(&std::mem::take(&mut item))),
                _ => {}
            }
            if depth == 0 && !matches!(c, ',' | '}') {
                item.push(c);
            }
        }
        found.push(name(&item));
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn no_module_imports_a_higher_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 150, "{} sources", files.len());
    let mut problems = Vec::new();
    let mut seen = 0;
    for file in &files {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        let own = layer(module).unwrap_or_else(|| panic!("`{module}` is in no layer"));
        for import in imports(&std::fs::read_to_string(file).unwrap()) {
            let target = ROOT.iter().find(|(name, _)| *name == import).map_or(import.as_str(), |(_, of)| of);
            let Some(theirs) = layer(target) else { panic!("{}: `crate::{import}`", inside.display()) };
            seen += 1;
            if theirs > own || theirs == own && target != module && own > 0 {
                problems.push(format!("{}: {module} imports {target}", inside.display()));
            }
        }
    }
    assert!(seen > 300, "{seen} imports");
    problems.sort();
    problems.dedup();
    assert!(
        problems.is_empty(),
        "imports of a higher layer, or of another module in the same one:\n{}",
        problems.join("\n")
    );
}

/// Some file systems (shares, WSL mounts) refuse to change the mode of a file: it is given when the file is made.
#[test]
fn no_mode_is_changed() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let changes = |file: &PathBuf| std::fs::read_to_string(file).unwrap().contains("set_permissions");
    let found: Vec<_> = files.into_iter().filter(changes).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn imports_are_found_in_every_form() {
    let source = "use crate::clip::{A, B};\nuse crate::{\n    Error, files::x,\n    map::{a, b},\n};\n// crate::serve\nlet y = crate::methods::z();\n";
    assert_eq!(imports(source), ["clip", "Error", "files", "map", "methods"]);
}
