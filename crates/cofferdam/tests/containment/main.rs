//! Attacks, one a module, named after the row of the field's catalogue or after their idea.
//!
//! Each first shows that the act works without a wall, then that it fails inside for the reason
//! that we claim, and then that the ordinary act beside it works.

#[path = "../support/mod.rs"]
mod support;

mod core_dumps;
mod etc_of_links;
mod etc_that_changes;
mod f02_symlink_out;
mod f03_denied_link;
mod f06_rename_parent;
mod f08_hard_link;
mod f16_inherited_descriptors;
mod f17_other_processes;
mod f18_own_programs;
mod f19_mount_target_race;
mod f22_grant_through_link;
mod f23_working_directory;
mod f24_writable_root_by_request;
mod f26_workspace_swapped;
mod f31_namespace_removes_binds;
mod f32_mount_api;
mod f38_open_descriptor;
mod f39_special_files;
mod f41_full_places;
mod f43_oracles;
mod f47_own_install;
mod f48_own_state;
mod f49_cgroup_tree;
mod f51_setup_through_links;
mod f52_traced_set_up;
mod git_elsewhere;
mod guards;
mod hidden_names;
mod home_and_projects;
mod homes;
mod inside_a_container;
mod k02_abstract_sockets;
mod k04_socketpair;
mod k06_path_sockets;
mod k08_crypto_sockets;
mod k09_socket_families;
mod k10_new_namespaces;
mod k12_io_uring;
mod k14_new_system_calls;
mod k17_supervisor_dies;
mod k18_kernel_surface;
mod k22_controlling_terminal;
mod k28_privilege;
mod k30_spawn_outside;
mod k31_nested;
mod k32_outlives;
mod k33_bombs;
mod kept_homes;
mod l01_no_silent_fallback;
mod l09_root_gives_way;
mod l10_links_at_removal;
mod l14_many_rules;
mod limits;
mod network_closed;
mod p15_environment;
mod p17_persistence;
mod scopes;
