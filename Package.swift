// swift-tools-version: 6.2
import PackageDescription

// The target list is the architecture: a target may use the layers below it, never one above.
// `swift build --explicit-target-dependency-import-check error` enforces it.

let common: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: common)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: common)
}

let package = Package(
    name: "deepops-fs",
    products: [
        .executable(name: "dfs", targets: ["dfs"]),
        .executable(name: "dfs-run", targets: ["dfs-run"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        // C: only what Swift cannot import.
        .target(name: "CFuse3", linkerSettings: [.linkedLibrary("fuse3")]),
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "CLinux"),

        // Base.
        library("DFSModel", []),
        library("DFSSystem", ["DFSModel", "CLinux"]),

        // Storage.
        library("DFSChunking", ["DFSModel", "CZstd", crypto]),
        library("DFSIndex", ["DFSModel", "DFSSystem", "CLMDB"]),
        library("DFSRemote", ["DFSModel", "DFSSystem"]),
        library("DFSStore", ["DFSModel", "DFSSystem", "DFSChunking", "DFSIndex", "DFSRemote", "CLinux"]),

        // Domain.
        library("DFSLedger", ["DFSModel", "DFSSystem", "DFSChunking", "DFSRemote", crypto]),
        library(
            "DFSHistory",
            ["DFSModel", "DFSSystem", "DFSChunking", "DFSIndex", "DFSRemote", "DFSStore", "DFSLedger", "CLinux"]),
        library(
            "DFSRuns",
            ["DFSModel", "DFSSystem", "DFSChunking", "DFSRemote", "DFSStore", "DFSLedger", "DFSHistory", "CLinux"]),
        library("DFSVirtual", ["DFSModel", "DFSSystem", "DFSStore", "DFSLedger", "DFSHistory", "DFSRuns"]),

        // Edges.
        library("DFSFuse", ["DFSModel", "DFSSystem", "DFSVirtual", "CFuse3", "CLinux"]),
        library(
            "DFSSealedView",
            ["DFSModel", "DFSSystem", "DFSChunking", "DFSIndex", "DFSRemote", "DFSStore", "DFSHistory", "CLinux"]),
        library("DFSLaunch", ["DFSModel", "DFSSystem", "CLinux"]),

        // App.
        library(
            "DFSCommands",
            [
                "DFSModel", "DFSSystem", "DFSChunking", "DFSRemote", "DFSStore", "DFSLedger", "DFSHistory", "DFSRuns",
                "DFSVirtual", "DFSFuse", "DFSSealedView", "DFSLaunch", "CLinux", "TOMLKit", arguments,
            ]),
        .executableTarget(name: "dfs", dependencies: ["DFSCommands"], swiftSettings: common),
        .executableTarget(name: "dfs-run", dependencies: ["DFSCommands"], swiftSettings: common),

        // Tests.
        .target(
            name: "DFSTestSupport",
            dependencies: [
                "DFSModel", "DFSSystem", "DFSChunking", "DFSRemote", "DFSStore", "DFSLedger", "DFSHistory",
                "DFSVirtual",
            ],
            path: "Tests/DFSTestSupport", swiftSettings: common),
        tests("DFSModelTests", ["DFSModel", "DFSTestSupport"]),
        tests("DFSSystemTests", ["DFSModel", "DFSSystem", "DFSTestSupport"]),
        tests("DFSChunkingTests", ["DFSModel", "DFSSystem", "DFSChunking", "DFSTestSupport"]),
        tests("DFSIndexTests", ["DFSModel", "DFSSystem", "DFSIndex", "DFSTestSupport"]),
        tests("DFSRemoteTests", ["DFSModel", "DFSSystem", "DFSRemote", "DFSTestSupport"]),
        tests(
            "DFSStoreTests",
            ["DFSModel", "DFSSystem", "DFSChunking", "DFSIndex", "DFSRemote", "DFSStore", "DFSTestSupport"]),
        tests("DFSLedgerTests", ["DFSModel", "DFSSystem", "DFSChunking", "DFSRemote", "DFSLedger", "DFSTestSupport"]),
        tests(
            "DFSHistoryTests",
            [
                "DFSModel", "DFSSystem", "DFSChunking", "DFSRemote", "DFSStore", "DFSLedger", "DFSHistory",
                "DFSTestSupport",
            ]),
        tests(
            "DFSRunsTests",
            [
                "DFSModel", "DFSSystem", "DFSChunking", "DFSRemote", "DFSStore", "DFSLedger", "DFSHistory", "DFSRuns",
                "DFSTestSupport",
            ],
            exclude: ["Fixtures"]),
        tests(
            "DFSVirtualTests",
            [
                "DFSModel", "DFSSystem", "DFSStore", "DFSLedger", "DFSHistory", "DFSRuns", "DFSVirtual", "CLinux",
                "DFSTestSupport",
            ]),
        tests("DFSFuseTests", ["DFSModel", "DFSSystem", "DFSStore", "DFSVirtual", "DFSFuse", "DFSTestSupport"]),
        tests(
            "DFSSealedViewTests",
            [
                "DFSModel", "DFSSystem", "DFSChunking", "DFSStore", "DFSLedger", "DFSHistory", "DFSSealedView",
                "CLinux", "DFSTestSupport",
            ]),
        tests("DFSLaunchTests", ["DFSModel", "DFSSystem", "DFSLaunch", "CLinux", "DFSTestSupport"]),
        tests(
            "DFSCommandsTests",
            [
                "DFSModel", "DFSSystem", "DFSRemote", "DFSStore", "DFSLedger", "DFSHistory", "DFSRuns", "DFSVirtual",
                "DFSLaunch", "DFSCommands", "DFSTestSupport",
            ]),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzzers of `tools/fuzz`: built only when it asks for them.
if Context.environment["DFS_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "dfs-fuzz", dependencies: ["DFSModel", "DFSTestSupport"], path: "Tests/Fuzz",
            swiftSettings: common + [.unsafeFlags(["-parse-as-library"])]))
}
