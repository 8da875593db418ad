/// Which variables are recorded with their values, and which differ from shell to shell without meaning anything.
package enum EnvironmentPolicy {
    /// Beside the determinism switches: what is harmless and often the reason for a difference.
    private static let harmless: Set<String> = [
        "COLUMNS", "CONDA_DEFAULT_ENV", "EDITOR", "LANGUAGE", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY",
        "LC_TIME",
        "LINES", "MPLBACKEND", "PAGER", "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUNBUFFERED",
        "PYTHONWARNINGS",
        "SHELL", "TERM", "TOKENIZERS_PARALLELISM", "TRANSFORMERS_OFFLINE", "HF_HUB_OFFLINE", "WANDB_MODE",
    ]

    private static let shown = harmless.union(DeterminismSwitches.names)

    /// Whether a record says the value of this variable, whatever the project asks for.
    package static func isShown(_ name: String) -> Bool { shown.contains(name) }

    private static let volatileNames: Set<String> = [
        "_", "COLORTERM", "COLUMNS", "DISPLAY", "GPG_AGENT_INFO", "GPG_TTY", "INVOCATION_ID", "JOURNAL_STREAM", "LINES",
        "LS_COLORS",
        "LSCOLORS", "MAIL", "OLDPWD", "PS1", "PS2", "PWD", "SHLVL", "STY", "TERM", "TERM_PROGRAM",
        "TERM_PROGRAM_VERSION",
        "TERM_SESSION_ID",
        "TMUX", "TMUX_PANE", "WAYLAND_DISPLAY", "WINDOWID", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_SEAT", "XDG_VTNR",
    ]

    private static let volatilePrefixes = [
        // This program's own, those of terminals, sessions and editors, and the numbers of jobs.
        "DFS_", "SSH_", "DBUS_", "XDG_SESSION_", "GNOME_TERMINAL_", "KITTY_", "KONSOLE_", "VSCODE_", "VTE_", "WEZTERM_",
        "ITERM_",
        "SLURM_", "PBS_", "LSB_", "SGE_", "PMI_", "PMIX_", "OMPI_COMM_WORLD_", "BASH_FUNC_", "SYSTEMD_",
    ]

    /// Whether the variable differs from shell to shell and job to job: recorded, and never a difference.
    package static func isVolatile(_ name: String) -> Bool {
        volatileNames.contains(name) || volatilePrefixes.contains { name.hasPrefix($0) }
    }
}
