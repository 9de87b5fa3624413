/* The system calls of the hot path in C: what syscalls.py says and does, without Python's way to each call.
 *
 * The sockets never block, so the GIL is kept: giving it up and taking it again costs more than a chunk's copy.
 * Who changes a function here changes its twin in syscalls.py; tests/relay/test_syscalls.py holds them together.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <sys/socket.h>

#define SMALL 65536 /* reads up to here go through one buffer, so that no memory is taken for what does not come */

static char buffer[SMALL];

static ssize_t receive(int source, char *into, size_t room)
{
    ssize_t got;
    do
        got = recv(source, into, room, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return got;
}

/* At most `room` bytes as a bytes object, or NULL with the OSError set. */
static PyObject *read_chunk(int source, Py_ssize_t room)
{
    PyObject *data;
    ssize_t got;

    if (room <= SMALL) {
        got = receive(source, buffer, (size_t)room);
        return got < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyBytes_FromStringAndSize(buffer, got);
    }
    data = PyBytes_FromStringAndSize(NULL, room);
    if (data == NULL)
        return NULL;
    got = receive(source, PyBytes_AS_STRING(data), (size_t)room);
    if (got < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(data);
        return NULL;
    }
    if (got != room)
        _PyBytes_Resize(&data, got); /* sets data to NULL and raises where there is no memory */
    return data;
}

static int number(PyObject *from, int *into)
{
    long value = PyLong_AsLong(from);
    if (value == -1 && PyErr_Occurred())
        return -1;
    if (value != (int)value) {
        PyErr_SetString(PyExc_OverflowError, "a descriptor or a size is an int");
        return -1;
    }
    *into = (int)value;
    return 0;
}

static PyObject *transfer(PyObject *module, PyObject *const *arguments, Py_ssize_t many)
{
    int source, target, room, error;
    PyObject *data;
    ssize_t sent;

    if (many != 3) {
        PyErr_SetString(PyExc_TypeError, "transfer(source, target, room)");
        return NULL;
    }
    if (number(arguments[0], &source) || number(arguments[1], &target) || number(arguments[2], &room))
        return NULL;
    if (room < 1) {
        PyErr_SetString(PyExc_ValueError, "room has to be at least 1");
        return NULL;
    }
    data = read_chunk(source, room);
    if (data == NULL || PyBytes_GET_SIZE(data) == 0)
        return data;
    do
        sent = send(target, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent == PyBytes_GET_SIZE(data))
        return data;
    error = sent < 0 ? errno : 0;
    return Py_BuildValue("(Nni)", data, sent < 0 ? (Py_ssize_t)0 : (Py_ssize_t)sent, error);
}

static PyMethodDef methods[] = {
    {"transfer", (PyCFunction)(void (*)(void))transfer, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_syscalls", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__syscalls(void)
{
    return PyModuleDef_Init(&module);
}
