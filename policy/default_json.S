/* The built-in policy, as it stands in default.json. Rebuild when that file changes: the assembler tells no
 * dependencies. */
    .section .rodata
    .global policy_default_json
    .hidden policy_default_json
    .type policy_default_json, %object
policy_default_json:
    .incbin "policy/default.json"
    .global policy_default_json_end
    .hidden policy_default_json_end
policy_default_json_end:
    .byte 0
    .size policy_default_json, . - policy_default_json
    .section .note.GNU-stack, "", %progbits
