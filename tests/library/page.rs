//! The page as a whole: well formed, closed to the outside, and unmoved by odd input.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use regex::Regex;
use roxmltree::{Document, Node, ParsingOptions};

use aaclip::page::{EvaluationPage, Mistake, PageClass, PageCurves, PageTable, WorstPicture};

/// Parses the page as XML, which forgives nothing. The page is HTML: its void elements have no end, and only
/// they are given one here.
fn check(html: &str) -> String {
    let void = Regex::new(r"<(meta|link|img)\b([^>]*)>").unwrap();
    let xml = void.replace_all(html, "<$1$2/>").into_owned();
    let document = parse(&xml);
    for node in document.descendants() {
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on") && name != "style", "<{}> has {name}", node.tag_name().name());
            if matches!(name, "src" | "href" | "srcset" | "action" | "data") {
                assert!(value.starts_with("data:") || value.starts_with('#'), "{name}={value}");
            }
            assert!(!value.contains("NaN") && !value.contains("inf"), "{name}={value}");
        }
        if let Some(target) = node.attribute("href").and_then(|to| to.strip_prefix('#')) {
            assert!(
                document.descendants().any(|n| n.attribute("id") == Some(target)),
                "nothing is #{target}"
            );
        }
    }
    let mut ids: Vec<_> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id is used twice");
    for outside in ["http:", "https:", "@import", "url("] {
        assert!(!html.contains(outside), "the page contains {outside}");
    }
    xml
}

fn parse(xml: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(xml, options).unwrap_or_else(|e| panic!("not well formed: {e}"))
}

fn count(document: &Document, tag: &str, class: &str) -> usize {
    let is =
        |node: &Node| node.has_tag_name(tag) && node.attribute("class").is_some_and(|c| c.contains(class));
    document.descendants().filter(is).count()
}

fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn empty<'a>(table: &'a PageTable) -> EvaluationPage<'a> {
    EvaluationPage { title: "", facts: &[], notes: &[], table, comparison: None, classes: &[], worst: &[] }
}

#[test]
fn an_evaluation_of_nothing_is_still_a_page() {
    let table = PageTable::default();
    check(&empty(&table).render());
    let classes =
        [PageClass::default(), PageClass { image: Some(PageCurves::default()), ..PageClass::default() }];
    let html = EvaluationPage { classes: &classes, comparison: Some(&table), ..empty(&table) }.render();
    check(&html);
    assert!(html.contains("Nothing to draw.") && html.contains("no data"));
}

#[test]
fn nothing_a_user_names_becomes_markup() {
    let evil = "<script>alert('1')</script>\"><img src=x onerror=\"x\">&\u{0}\u{1b}\u{202e}]]>--></style>";
    let own = || evil.to_owned();
    let table = PageTable {
        caption: own(),
        head: vec![own(), own()],
        rows: vec![vec![own(), own()], vec![own(), own()]],
    };
    let curves = PageCurves { pro: Some(vec![]), summary: own(), ..PageCurves::default() };
    let classes = [PageClass {
        name: own(),
        image: Some(curves.clone()),
        pixel: Some(curves),
        good_scores: vec![0.5],
        ..PageClass::default()
    }; 1];
    let worst = [Mistake::FalsePositive, Mistake::FalseNegative].map(|mistake| WorstPicture {
        mistake,
        class: own(),
        name: own(),
        score: 0.5,
        thumbnail: vec![0xff],
        overlay: vec![],
        width: 0,
        height: 0,
    });
    let facts = [(own(), own())];
    let notes = [own()];
    let html = EvaluationPage {
        title: evil,
        facts: &facts,
        notes: &notes,
        table: &table,
        comparison: Some(&table),
        classes: &classes,
        worst: &worst,
    }
    .render();
    let xml = check(&html);
    let document = parse(&xml);
    let of = |tag| document.descendants().filter(|node| node.has_tag_name(tag)).count();
    assert_eq!((of("script"), of("style"), of("img")), (1, 1, 2));
    let title = document.descendants().find(|node| node.has_tag_name("h1")).and_then(|node| node.text());
    assert_eq!(title, Some(evil.replace(['\u{0}', '\u{1b}'], "\u{fffd}").as_str()));
}

#[test]
fn values_that_are_not_numbers_leave_the_drawings_whole() {
    let wild: Vec<_> = [f64::NAN, 0.1, f64::INFINITY, 0.4, f64::NEG_INFINITY].map(|v| (v.abs(), v)).to_vec();
    let curves = PageCurves { roc: wild.clone(), pr: wild.clone(), pro: Some(wild), summary: String::new() };
    let table = PageTable {
        head: strings(["class", "AUROC"]),
        rows: vec![strings(["mean", "n/a"])],
        ..PageTable::default()
    };
    for threshold in [f32::NAN, f32::INFINITY, -1.0, 2.0] {
        let classes = [PageClass {
            image: Some(curves.clone()),
            pixel: Some(curves.clone()),
            good_scores: vec![f32::NAN, 0.2, f32::INFINITY],
            anomalous_scores: vec![-7.0, f32::MAX, f32::NEG_INFINITY],
            threshold: Some(threshold),
            ..PageClass::default()
        }];
        let html = EvaluationPage { classes: &classes, ..empty(&table) }.render();
        let xml = check(&html);
        let document = parse(&xml);
        assert_eq!((count(&document, "path", "curve"), count(&document, "path", "threshold")), (6, 0));
        assert!(html.contains("3 not a number, left out") && html.contains("2 outside 0 to 1"));
    }
}

#[test]
fn rows_of_any_length_fit_one_grid() {
    let table = PageTable {
        caption: "figures".into(),
        head: strings(["class", "AUROC"]),
        rows: vec![strings(["a", "91.2", "-1.0", "paper"]), vec![], strings(["mean", "n/a", "+2.5"])],
    };
    let xml = check(&empty(&table).render());
    let document = parse(&xml);
    for row in document.descendants().filter(|node| node.has_tag_name("tr")) {
        assert_eq!(row.children().filter(Node::is_element).count(), 4);
    }
    assert_eq!(
        count(&document, "th", "number"),
        2,
        "AUROC and the difference hold figures, the source does not"
    );
    let foot = document.descendants().find(|node| node.has_tag_name("tfoot")).unwrap();
    assert!(foot.descendants().any(|node| node.text() == Some("mean")));
}

#[test]
fn a_page_of_fifteen_classes_stays_small() {
    let example = Example::new(15);
    let html = example.page().render();
    let xml = check(&html);
    let document = parse(&xml);
    assert_eq!(count(&document, "svg", "chart"), 16 * 6);
    assert_eq!(count(&document, "span", "badge"), 2 * Example::WORST);
    assert_eq!(document.descendants().filter(|node| node.has_attribute("open")).count(), 1);
    let pictures: usize =
        example.worst.iter().map(|each| (each.thumbnail.len() + each.overlay.len()) * 4 / 3).sum();
    let rest = html.len() - pictures;
    assert!(rest < 1_500_000, "{rest} bytes beside {pictures} of pictures");
    // For tests/reference/open_page.py, which opens it in a browser.
    if let Some(path) = std::env::var_os("AACLIP_PAGE_OUT") {
        std::fs::write(path, &html).unwrap();
        eprintln!("{} bytes, {pictures} of them pictures", html.len());
    }
}

/// An evaluation that could be one, from a formula.
struct Example {
    facts: Vec<(String, String)>,
    notes: Vec<String>,
    table: PageTable,
    comparison: PageTable,
    classes: Vec<PageClass>,
    worst: Vec<WorstPicture>,
}

impl Example {
    const WORST: usize = 9;

    fn new(classes: usize) -> Self {
        const NAMES: [&str; 15] = [
            "bottle",
            "cable",
            "capsule",
            "carpet",
            "grid",
            "hazelnut",
            "leather",
            "metal_nut",
            "pill",
            "screw",
            "tile",
            "toothbrush",
            "transistor",
            "wood",
            "zipper",
        ];
        let name = |at: usize| NAMES[at % NAMES.len()].to_owned();
        let mut draw = Draws(7);
        let mut shown = vec![PageClass { name: "all classes".into(), ..example_class(&mut draw, 4000, 2.2) }];
        shown.extend((0..classes).map(|at| {
            let class = example_class(&mut draw, 60 + 17 * at, 1.0 + (at % 5) as f64);
            PageClass { name: name(at), ..class }
        }));
        let columns = ["91.2", "95.3", "93.0", "90.1", "35.7", "39.2", "82.6"];
        let row = |label: String, at: usize| {
            let figure = |(column, value): (usize, &str)| {
                let value: f64 = value.parse().unwrap();
                format!("{:.1}", value - ((at * 7 + column * 3) % 11) as f64)
            };
            std::iter::once(label).chain(columns.into_iter().enumerate().map(figure)).collect::<Vec<_>>()
        };
        let mut rows: Vec<_> = (0..classes).map(|at| row(name(at), at)).collect();
        rows.push(row("mean".into(), 0));
        Self {
            facts: [
                ("Model", "ViT-B-16-plus-240 (laion400m_e32), sha256 5b1c0e2f9d34a6b7788190acdeff01235b1c0e2f9d34a6b7788190acdeff0123"),
                ("Adapters", "none"),
                ("Method", "sdp, layers 3 6 9 12, temperature 0.01"),
                ("Data", "mvtec, 1,725 pictures in 15 classes, 518 x 518"),
                ("Written", "2026-01-31 12:00 UTC"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            notes: strings(["3 pictures could not be read: they are missing from every figure below."]),
            table: PageTable {
                caption: "Per class, in percent".into(),
                head: strings(["Class", "Image AUROC", "Image AP", "Image F1", "Pixel AUROC", "Pixel AP", "Pixel F1", "PRO"]),
                rows,
            },
            comparison: PageTable {
                caption: "Published figures are the paper's, in percent; the difference is ours minus theirs".into(),
                head: strings(["Figure", "Ours", "Published", "Difference", "Source"]),
                rows: vec![
                    strings(["Image AUROC", "91.2", "90.8", "+0.4", "table 1"]),
                    strings(["Pixel AUROC", "90.1", "91.2", "\u{2212}1.1", "table 2"]),
                    strings(["mean", "90.7", "91.0", "\u{2212}0.3", ""]),
                ],
            },
            classes: shown,
            worst: (0..2 * Self::WORST)
                .map(|at| {
                    let (width, height) = if at % 4 == 3 { (256, 160) } else { (256, 256) };
                    WorstPicture {
                        mistake: if at % 2 == 0 { Mistake::FalsePositive } else { Mistake::FalseNegative },
                        class: name(at),
                        name: format!("test/scratch/{at:03}.png"),
                        score: 0.9 - 0.04 * at as f32,
                        thumbnail: example_picture(width, height, at, false),
                        overlay: example_picture(width, height, at, true),
                        width,
                        height,
                    }
                })
                .collect(),
        }
    }

    fn page(&self) -> EvaluationPage<'_> {
        EvaluationPage {
            title: "sdp on mvtec",
            facts: &self.facts,
            notes: &self.notes,
            table: &self.table,
            comparison: Some(&self.comparison),
            classes: &self.classes,
            worst: &self.worst,
        }
    }
}

/// Pseudo-random numbers, the same in every run.
struct Draws(u64);

impl Draws {
    /// In 0..1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }

    /// About bell-shaped around 0.
    fn bell(&mut self) -> f64 {
        (0..6).map(|_| self.next() - 0.5).sum::<f64>()
    }
}

fn example_class(draw: &mut Draws, pictures: usize, apart: f64) -> PageClass {
    let score = |v: f64| (0.45 + 0.09 * v).clamp(0.0, 1.0) as f32;
    let good: Vec<f32> = (0..pictures / 3).map(|_| score(draw.bell())).collect();
    let anomalous: Vec<f32> = (0..pictures - pictures / 3).map(|_| score(draw.bell() + apart)).collect();
    let mut pixels = |count: usize| {
        let normal: Vec<f32> = (0..count).map(|_| score(draw.bell())).collect();
        let defect: Vec<f32> = (0..count / 20).map(|_| score(draw.bell() + apart)).collect();
        example_curves(&normal, &defect, true)
    };
    let pixel = pixels(40_000);
    PageClass {
        name: String::new(),
        image: Some(example_curves(&good, &anomalous, false)),
        pixel: Some(pixel),
        good_scores: good,
        anomalous_scores: anomalous,
        threshold: Some(0.5),
    }
}

fn example_curves(good: &[f32], anomalous: &[f32], pro: bool) -> PageCurves {
    let labelled = |scores: &[f32], label: bool| scores.iter().map(|&s| (s, label)).collect::<Vec<_>>();
    let mut all = [labelled(good, false), labelled(anomalous, true)].concat();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hits, mut alarms) = (0.0, 0.0);
    let (mut roc, mut pr) = (vec![(0.0, 0.0)], vec![(0.0, 1.0)]);
    for (_, label) in all {
        *(if label { &mut hits } else { &mut alarms }) += 1.0;
        roc.push((alarms / good.len() as f64, hits / anomalous.len() as f64));
        pr.push((hits / anomalous.len() as f64, hits / (hits + alarms)));
    }
    let pro = pro.then(|| roc.iter().filter(|(x, _)| *x <= 0.3).map(|&(x, y)| (x, y * y)).collect());
    PageCurves { roc, pr, pro, summary: "AUROC 91.2 \u{b7} AP 95.3 \u{b7} F1 93.0".into() }
}

/// A grey disc with a scratch; the overlay glows where the scratch is.
fn example_picture(width: u32, height: u32, at: usize, glow: bool) -> Vec<u8> {
    let centre = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (f64::from(x) - centre.0, f64::from(y) - centre.1);
        let disc = if dx.hypot(dy) < 0.42 * f64::from(height) { 150.0 } else { 45.0 };
        let away = (dx - 0.5 * dy - 3.0 * at as f64).abs();
        let heat = if glow { 110.0 * (-away * away / 400.0).exp() } else { 0.0 };
        let base: f64 = if away < 2.0 { 235.0 } else { disc + f64::from((x * 7 + y * 13) % 9) };
        Rgb([base + heat, base + 0.3 * heat, base - 0.5 * heat].map(|v| v.clamp(0.0, 255.0) as u8))
    });
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg).unwrap();
    bytes
}
