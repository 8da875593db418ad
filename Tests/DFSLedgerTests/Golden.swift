/// An entry as the first version of this program wrote it.
enum Golden {
    static let publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF/MKumd3Oc4qJXSx63UnfOvj7yOcOQZjqrmtmdv4ipX"
    static let digest = "bfb4284a90b49d1687c6ead2fca9b9902bfcf669a3b0f33822e56909db183b1a"
    static let entry = #"""
        {"clock":{"host":"2026-11-23T22:00:00.123456Z","store":"2026-11-23T21:59:59.123456Z","synchronised":\#
        "yes"},"events":[{"kind":"store.created"},{"key":"SHA256:It1yeosNogvsZP6hWurc0QdQ3t0WRrbK97NmdcKmbvA\#
        ","kind":"key.added","owner":true,"public":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF/MKumd3Oc4qJXSx63U\#
        nfOvj7yOcOQZjqrmtmdv4ipX"},{"bytes":1099511627776,"content":"sha256:af34f3ba249796f7475a1a7d4e731ec2\#
        9e311cab1075bc4dab8269a240467884","dataset":"faces","files":3,"kind":"dataset.committed","pack":"sha\#
        256:c201dfba6e376855e9452ca7f0217cfd32ff85edc8ac57c310960859e63e5051","packs":"sha256:b60ce8038b2d68\#
        5beeef2961079ab5abbf60f74c539fffa473415ca7d8d7b311","record":"sha256:ada5df2373555e28cd8592ee9ea65a4\#
        866d41a552e3dfec2457cdce4298f866e","tree":"sha256:d670eb63d883aca415e401e50a0b8f64b6dca1ce9f9ebd7284\#
        d55dfae33a7f8c","version":1},{"bytes":1099511627776,"content":"sha256:2a3ef1c4e99af99c7c93963780ac93\#
        2b3fbeeed6e423ac7ff46b01247b3afa25","files":3,"kind":"code.captured","pack":"sha256:5b4a0f9385a36d4d\#
        595df9d367eaff23adaee7cfd8477063394f283c93174049","packs":"sha256:e81a7f35051e6208a7ce2e5861505d3978\#
        c064f83dc36c74a2566cff1fe1f971","project":"train","record":"sha256:375c7a4c40e10857d0b554ffdb5672b3f\#
        6fd4959f200bc5de7488a6edc03f01c","snapshot":"s1","tree":"sha256:e7aa58502f36841f34d558744603a958a25f\#
        04b432f5274805444bba6ae6de0d"}],"format":"dfs.entry/1","key":"SHA256:It1yeosNogvsZP6hWurc0QdQ3t0WRrb\#
        K97NmdcKmbvA","nonce":"62c09d8cf67cbcafb32e2632dd3eb839","previous":"sha256:301193499f1ed9a7d7c86813\#
        639cdc5dd7d6e58d8ba67892238049b40f4ed007","sequence":1,"signature":"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVk\#
        MjU1MTkAAAAgX8wq6Z3c5zioldLHrdSd86+PvI5w5BmOqua2Z2/iKlcAAAAKZGVlcG9wcy1mcwAAAAAAAAAGc2hhNTEyAAAAUwAA\#
        AAtzc2gtZWQyNTUxOQAAAEAkoof9OugBQ+RvxbhQGHpqQYHBHAn3EdiDhQZESx7/VgKQCzoQDHQaRuW9H+T22jSmVuJMLkPTKTg2\#
        2ZtqcWIG","store":"018bcfe5-6800-7102-8304-05060708090a","time":"2026-11-23T22:00:00.123456Z"}
        """#
}
