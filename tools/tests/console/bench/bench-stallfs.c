/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system whose disk can stall: what is written is forgotten, and while the file named on the
 * command line exists, a write, a sync or an open does not return.
 *
 * usage: bench-stallfs STALL-FILE MOUNTPOINT (and libfuse's options)
 *
 * One flat directory; a file has a size and no content.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 64, NAME = 256 };

static struct file {
	char name[NAME];
	off_t size;
} files[FILES];

static const char *stall;

static void stall_while_told(void)
{
	while (!access(stall, F_OK))
		usleep(10000);
}

static struct file *find(const char *name)
{
	for (int i = 0; i < FILES; i++)
		if (!strcmp(files[i].name, name))
			return &files[i];
	return NULL;
}

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *info)
{
	struct file *f = find(path);

	(void)info;
	if (strcmp(path, "/") && !f)
		return -ENOENT;
	memset(st, 0, sizeof(*st));
	st->st_mode = f ? S_IFREG | 0600 : S_IFDIR | 0755;
	st->st_nlink = f ? 1 : 2;
	st->st_size = f ? f->size : 0;
	return 0;
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
	struct file *f = find("");

	(void)mode;
	(void)info;
	stall_while_told();
	if (!f || strlen(path) >= NAME)
		return -ENOSPC;
	strcpy(f->name, path);
	f->size = 0;
	return 0;
}

static int fs_open(const char *path, struct fuse_file_info *info)
{
	(void)info;
	stall_while_told();
	return find(path) ? 0 : -ENOENT;
}

static int fs_write(const char *path, const char *data, size_t length, off_t at, struct fuse_file_info *info)
{
	struct file *f = find(path);

	(void)data;
	(void)info;
	stall_while_told();
	if (!f)
		return -ENOENT;
	if (at + (off_t)length > f->size)
		f->size = at + length;
	return length;
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
	struct file *f = find(path);

	(void)info;
	if (!f)
		return -ENOENT;
	f->size = size;
	return 0;
}

static int fs_read(const char *path, char *to, size_t length, off_t at, struct fuse_file_info *info)
{
	struct file *f = find(path);

	(void)info;
	if (!f || at >= f->size)
		return f ? 0 : -ENOENT;
	length = f->size - at < (off_t)length ? (size_t)(f->size - at) : length;
	memset(to, '\n', length);
	return length;
}

static int fs_readdir(const char *path, void *to, fuse_fill_dir_t fill, off_t at, struct fuse_file_info *info,
		      enum fuse_readdir_flags flags)
{
	(void)path;
	(void)at;
	(void)info;
	(void)flags;
	for (int i = 0; i < FILES; i++)
		if (*files[i].name)
			fill(to, files[i].name + 1, NULL, 0, 0);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct fuse_operations operations = {
		.getattr = fs_getattr,
		.create = fs_create,
		.open = fs_open,
		.read = fs_read,
		.write = fs_write,
		.truncate = fs_truncate,
		.readdir = fs_readdir,
	};

	if (argc < 3) {
		fprintf(stderr, "usage: bench-stallfs STALL-FILE MOUNTPOINT [FUSE OPTION...]\n");
		return EINVAL;
	}
	stall = argv[1];
	argv[1] = argv[0];
	return fuse_main(argc - 1, argv + 1, &operations, NULL);
}
