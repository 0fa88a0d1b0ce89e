use super::*;

#[track_caller]
fn assert_clean(tree: &Tree, layout: Layout, expected: &[&str]) {
    let data = tree.open();
    assert_eq!(data.layout, layout);
    assert_eq!(lines(&data), expected);
    assert_eq!(data.problems, []);
    let found = data.check(&Default::default(), || {});
    // Masks in JPEG are used, with a warning.
    assert!(
        found.iter().all(|p| p.kind == ProblemKind::LossyMask && p.path.extension().unwrap() == "jpg"),
        "{found:?}"
    );
}

#[test]
fn mvtec_ad() {
    let tree = Tree::with(&[
        "nut/train/good/000.png",
        "nut/test/good/000.png",
        "nut/test/cut/001.png",
        "nut/test/cut/000.JPG",
        "nut/ground_truth/cut/000_mask.png",
        "nut/ground_truth/cut/001.bmp",
        "bolt/test/Good/000.png",
        "bolt/test/bent/000.png",
        "bolt/ground_truth/bent/000_mask.png",
        "bolt/test/bent/.hidden.png",
    ]);
    tree.text("nut/test/cut/Thumbs.db", "");
    tree.text("license.txt", "");
    let expected = [
        "bolt bolt/test/Good/000.png 0 Good -",
        "bolt bolt/test/bent/000.png 1 bent bolt/ground_truth/bent/000_mask.png",
        "nut nut/test/cut/000.JPG 1 cut nut/ground_truth/cut/000_mask.png",
        "nut nut/test/cut/001.png 1 cut nut/ground_truth/cut/001.bmp",
        "nut nut/test/good/000.png 0 good -",
    ];
    assert_clean(&tree, Layout::MvtecAd, &expected);
    assert_eq!(tree.open().classes(), ["bolt", "nut"]);

    let one = Dataset::open(&tree.file("nut"), None).unwrap();
    assert_eq!((one.classes(), one.samples.len()), (vec!["nut"], 3));
    assert_eq!(one.samples[2].name, "test/good/000.png");
}

#[test]
fn a_class_without_any_mask_has_image_labels_only() {
    let tree = Tree::with(&["nut/test/good/0.png", "nut/test/cut/0.png"]);
    assert_clean(
        &tree,
        Layout::MvtecAd,
        &["nut nut/test/cut/0.png 1 cut ?", "nut nut/test/good/0.png 0 good -"],
    );
}

#[test]
fn mpdd_and_btad() {
    let tree =
        Tree::with(&["tubes/test/good/0.png", "tubes/test/flat/0.png", "tubes/ground_truth/flat/0_mask.png"]);
    assert_eq!(tree.open().layout, Layout::Mpdd);
    let tree = Tree::with(&[
        "01/test/ok/0.bmp",
        "01/test/ko/0.bmp",
        "01/ground_truth/ko/0.png",
        "02/test/ok/0.png",
        "02/test/ko/7.png",
        "02/ground_truth/ko/7.bmp",
    ]);
    let expected = [
        "01 01/test/ko/0.bmp 1 ko 01/ground_truth/ko/0.png",
        "01 01/test/ok/0.bmp 0 ok -",
        "02 02/test/ko/7.png 1 ko 02/ground_truth/ko/7.bmp",
        "02 02/test/ok/0.png 0 ok -",
    ];
    assert_clean(&tree, Layout::Btad, &expected);
}

#[test]
fn mvtec_ad_2() {
    let tree = Tree::with(&[
        "can/test_public/good/000_regular.png",
        "can/test_public/bad/000_overexposed.png",
        "can/test_public/ground_truth/bad/000_overexposed_mask.png",
        "can/test_private/000_regular.png",
        "can/validation/good/000_regular.png",
    ]);
    let expected = [
        "can can/test_public/bad/000_overexposed.png 1 bad can/test_public/ground_truth/bad/000_overexposed_mask.png",
        "can can/test_public/good/000_regular.png 0 good -",
    ];
    assert_clean(&tree, Layout::MvtecAd2, &expected);
}

const VISA: [&str; 6] = [
    "candle/Data/Images/Normal/0.JPG",
    "candle/Data/Images/Normal/1.JPG",
    "candle/Data/Images/Anomaly/0.JPG",
    "candle/Data/Images/Anomaly/1.JPG",
    "candle/Data/Masks/Anomaly/0.png",
    "candle/Data/Masks/Anomaly/1.png",
];

#[test]
fn visa() {
    let tree = Tree::with(&VISA);
    let expected = [
        "candle candle/Data/Images/Anomaly/0.JPG 1 Anomaly candle/Data/Masks/Anomaly/0.png",
        "candle candle/Data/Images/Anomaly/1.JPG 1 Anomaly candle/Data/Masks/Anomaly/1.png",
        "candle candle/Data/Images/Normal/0.JPG 0 Normal -",
        "candle candle/Data/Images/Normal/1.JPG 0 Normal -",
    ];
    assert_clean(&tree, Layout::VisaRaw, &expected);
    let one = Dataset::open(&tree.file("candle"), None).unwrap();
    assert_eq!((one.layout, one.classes(), one.samples.len()), (Layout::VisaRaw, vec!["candle"], 4));

    let rows = "object,split,label,image,mask\r\n\
        candle,train,normal,candle/Data/Images/Normal/0.JPG,\r\n\
        candle,test,normal,candle/Data/Images/Normal/1.JPG,\r\n\
        candle,test,anomaly,candle/Data/Images/Anomaly/1.JPG,candle/Data/Masks/Anomaly/1.png\r\n";
    tree.text("split_csv/1cls.csv", rows);
    assert_clean(&tree, Layout::VisaSplit, &[expected[1], expected[3]]);
    tree.text("split_csv/1cls.csv", format!("\u{feff}{rows}"));
    assert_clean(&tree, Layout::VisaSplit, &[expected[1], expected[3]]);
    // The split can be set aside.
    let raw = Dataset::open(tree.path(), Some(Layout::VisaRaw)).unwrap();
    assert_eq!(raw.samples.len(), 4);
}

#[test]
fn bmad() {
    let tree = Tree::with(&[
        "Brain_AD/test/good/img/0.png",
        "Brain_AD/test/good/anomaly_mask/0.png",
        "Brain_AD/test/Ungood/img/0.png",
        "Brain_AD/test/Ungood/anomaly_mask/0.png",
        "Retina_RESC_AD/test/good/img/0.png",
        "Retina_RESC_AD/test/Ungood/img/0.png",
        "Retina_RESC_AD/test/Ungood/label/0.png",
        "Retina_OCT2017_AD/test/good/0.png",
        "Retina_OCT2017_AD/test/Ungood/0.png",
    ]);
    let expected = [
        "Brain Brain_AD/test/Ungood/img/0.png 1 Ungood Brain_AD/test/Ungood/anomaly_mask/0.png",
        "Brain Brain_AD/test/good/img/0.png 0 good -",
        "Retina Retina_RESC_AD/test/Ungood/img/0.png 1 Ungood Retina_RESC_AD/test/Ungood/label/0.png",
        "Retina Retina_RESC_AD/test/good/img/0.png 0 good -",
        "Retina_OCT2017 Retina_OCT2017_AD/test/Ungood/0.png 1 Ungood ?",
        "Retina_OCT2017 Retina_OCT2017_AD/test/good/0.png 0 good -",
    ];
    assert_clean(&tree, Layout::Bmad, &expected);
    let one = Dataset::open(&tree.file("Brain_AD"), None).unwrap();
    assert_eq!((one.layout, one.classes()), (Layout::Bmad, vec!["Brain"]));
}

#[test]
fn segmentation_sets() {
    let tree = Tree::with(&[
        "CVC-ClinicDB/Original/1.tif",
        "CVC-ClinicDB/Ground Truth/1.tif",
        "Kvasir-SEG/images/a.jpg",
        "Kvasir-SEG/masks/a.jpg",
        "cvc_300/images/1.png",
        "cvc_300/masks/1.png",
        "ETIS/images/1.png",
        "ETIS/masks/1.png",
    ]);
    let expected = [
        "CVC-300 cvc_300/images/1.png 1 defect cvc_300/masks/1.png",
        "Colon_clinicDB CVC-ClinicDB/Original/1.tif 1 defect CVC-ClinicDB/Ground Truth/1.tif",
        "ETIS ETIS/images/1.png 1 defect ETIS/masks/1.png",
        "Kvasir Kvasir-SEG/images/a.jpg 1 defect Kvasir-SEG/masks/a.jpg",
    ];
    assert_clean(&tree, Layout::Segmentation, &expected);
    let one = Dataset::open(&tree.file("CVC-ClinicDB"), None).unwrap();
    assert_eq!(one.classes(), ["Colon_clinicDB"]);

    // The archive with two formats is read once; sets of one name are told apart.
    let tree = Tree::with(&[
        "CVC-ClinicDB/PNG/Original/1.png",
        "CVC-ClinicDB/PNG/Ground Truth/1.png",
        "CVC-ClinicDB/TIF/Original/1.tif",
        "CVC-ClinicDB/TIF/Ground Truth/1.tif",
        "my-clinicdb/images/1.png",
        "my-clinicdb/masks/1.png",
    ]);
    let data = tree.open();
    assert_eq!((data.classes(), data.samples.len()), (vec!["CVC-ClinicDB", "my-clinicdb"], 2));
}

#[test]
fn isic() {
    let tree = Tree::with(&[
        "ISBI2016_ISIC_Part1_Test_Data/ISIC_1.jpg",
        "ISBI2016_ISIC_Part1_Test_GroundTruth/ISIC_1_Segmentation.png",
    ]);
    let mask = "ISBI2016_ISIC_Part1_Test_GroundTruth/ISIC_1_Segmentation.png";
    let line = format!("ISIC ISBI2016_ISIC_Part1_Test_Data/ISIC_1.jpg 1 lesion {mask}");
    assert_clean(&tree, Layout::Isic, &[&line]);
}

#[test]
fn head_ct() {
    for nested in ["", "head_ct/", "head_ct/head_ct/"] {
        let tree = Tree::new();
        tree.picture(&format!("{nested}000.png"), 1, 1, 0);
        tree.picture(&format!("{nested}001.png"), 1, 1, 0);
        tree.text("labels.csv", "id, hemorrhage\n0, 1\n1, 0\n");
        let expected =
            [format!("HeadCT {nested}000.png 1 hemorrhage ?"), format!("HeadCT {nested}001.png 0 good -")];
        assert_clean(&tree, Layout::HeadCt, &expected.each_ref().map(String::as_str));
    }
}

#[test]
fn brain_mri() {
    let plain = ["yes/Y1.jpg", "no/1 no.jpeg"];
    let expected = ["BrainMRI no/1 no.jpeg 0 no -", "BrainMRI yes/Y1.jpg 1 yes ?"];
    assert_clean(&Tree::with(&plain), Layout::BrainMri, &expected);
    let tree = Tree::with(&["brain_tumor_dataset/yes/Y1.jpg", "brain_tumor_dataset/no/1 no.jpeg"]);
    assert_eq!((tree.open().layout, tree.open().samples.len()), (Layout::BrainMri, 2));
}

#[test]
fn two_folders() {
    let tree = Tree::with(&["good/1.png", "defect/2.jpg", "masks/2.png", "bad/3.png", "masks/3_mask.png"]);
    let class = tree.path().file_name().unwrap().to_str().unwrap().to_owned();
    let line = |rest: &str| format!("{class} {rest}");
    let expected = [
        line("bad/3.png 1 bad masks/3_mask.png"),
        line("defect/2.jpg 1 defect masks/2.png"),
        line("good/1.png 0 good -"),
    ];
    assert_clean(&tree, Layout::TwoFolders, &expected.each_ref().map(String::as_str));

    let tree = Tree::with(&["OK/1.png", "ko/2.jpg", "ground_truth/ko/2.png"]);
    assert_eq!(tree.open().samples[1].mask, Mask::File(tree.file("ground_truth/ko/2.png")));
    let tree = Tree::with(&["normal/1.png", "anomaly/2.jpg"]);
    assert_eq!(tree.open().samples[0].mask, Mask::Unlabelled);
    assert_eq!(tree.open().problems, []);
}
