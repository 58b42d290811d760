"""gdb commands for tasks: they live on stacks of their own, which gdb does not show as threads.

    (gdb) source tools/fiber_gdb.py
    (gdb) tasks            lists the tasks of all schedulers
    (gdb) task-bt EXPR     the stack of one parked task: a task_t *, or its name in quotes
    (gdb) tasks-bt         the stacks of all parked tasks

In a live process (gdb sets no registers in a core file); x86-64 with glibc; a build with debug information.
"""
import re

import gdb

STATES = ("ready", "running", "waiting")


def offset_of(kind, member):
    return next(f.bitpos // 8 for f in gdb.lookup_type(kind).fields() if f.name == member)


def entries(head, kind, member):
    """The objects in an intrusive list (base/list.h)."""
    start = int(head.address)
    offset = offset_of(kind, member)
    pointer = gdb.lookup_type(kind).pointer()
    node = head["next"]
    while int(node) != start:
        yield gdb.Value(int(node) - offset).cast(pointer)
        node = node["next"]


def tasks():
    head = gdb.lookup_static_symbol("all_scheds")
    if head is None:
        raise gdb.GdbError("no scheduler in this program, or no debug information")
    for sched in entries(head.value(), "struct sched", "node"):
        for task in entries(sched["tasks"], "struct task", "node"):
            yield sched, task


def guard():
    """glibc mangles the saved registers with a secret of the thread, at fs:0x30."""
    return int(gdb.parse_and_eval("*(unsigned long *)($fs_base + 0x30)"))


def saved_registers(fiber):
    key, jmpbuf = guard(), fiber["here"][0]["__jmpbuf"]

    def plain(index):
        value = int(jmpbuf[index]) & (2**64 - 1)
        return ((value >> 17 | value << 47) & (2**64 - 1)) ^ key

    return {"rbp": plain(1), "rsp": plain(6), "rip": plain(7)}


def describe(task):
    return f'{task["name"].string()} ({STATES[int(task["state"])]}) at {int(task):#x}'


def backtrace(task):
    print(f"task {describe(task)}")
    if not task["fiber"]["is_entered"]:
        print("  has not started")
        return
    if STATES[int(task["state"])] == "running":
        gdb.execute("bt")
        return
    gdb.execute("select-frame 0")
    old = {name: int(gdb.parse_and_eval(f"${name}")) for name in ("rip", "rsp", "rbp")}
    try:
        for name, value in saved_registers(task["fiber"]).items():
            gdb.execute(f"set ${name} = {value}")
        gdb.execute("bt")
    finally:
        for name, value in old.items():
            gdb.execute(f"set ${name} = {value}")


class Tasks(gdb.Command):
    """Lists the tasks of all schedulers."""

    def __init__(self):
        super().__init__("tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for sched, task in tasks():
            print(f"scheduler {int(sched):#x}  {describe(task)}")


class TaskBt(gdb.Command):
    """The stack of one task: a task_t *, or its name in quotes."""

    def __init__(self):
        super().__init__("task-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        name = re.fullmatch(r'\s*"(.*)"\s*', argument)
        if not name:
            backtrace(gdb.parse_and_eval(argument).cast(gdb.lookup_type("struct task").pointer()))
            return
        for _, task in tasks():
            if task["name"].string() == name[1]:
                backtrace(task)


class TasksBt(gdb.Command):
    """The stacks of all tasks."""

    def __init__(self):
        super().__init__("tasks-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for _, task in tasks():
            backtrace(task)
            print()


Tasks()
TaskBt()
TasksBt()
