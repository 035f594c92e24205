# The first process of one namespace host: makes its root file system, waits for its network card, starts sshd.
# Run by `unshare --net --uts --pid --mount --ipc --fork sh -eu namespace_host.sh NAME ADDRESS/LEN SEED STORAGE SIZE`.
# It says its process id and later 'ready' on stdout, and reads one line once eth0 is there. When stdin ends, because the
# owner is done or dead, this process ends, and the kernel ends the whole host with it: nothing can be left behind.
name=$1 address=$2 seed=$3 storage=$4 size=$5

read -r pid _ </proc/self/stat # /proc is still the owner's here, so this is the process id that the owner sees
echo "$pid"

hostname "$name"
mount --make-rprivate /
root=$storage
if [ "$storage" = memory ]; then
    root=/mnt
    mount -t tmpfs -o "size=$size,mode=755" lab "$root"
else
    mount --bind "$root" "$root" # pivot_root wants a mount point
fi
cd "$root"

mkdir -m 700 .upper .work
mkdir -p -m 755 boot dev etc home media mnt opt proc run srv sys tmp usr var
mkdir -m 700 root
chmod 1777 tmp
mkdir -p run/sshd run/lock

# The system's own folders are the controller's, copied on write. All else (homes, /opt, /srv, ...) starts empty, so that
# nothing of the controller's own is seen.
copied_on_write="usr etc var"
for folder in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$folder" ]; then
        cp -P "/$folder" "$folder"
    elif [ -d "/$folder" ]; then
        mkdir "$folder"
        copied_on_write="$copied_on_write $folder"
    fi
done
for folder in $copied_on_write; do
    mkdir -p ".upper/$folder" ".work/$folder"
    echo "overlay $root/$folder overlay lowerdir=/$folder,upperdir=$root/.upper/$folder,workdir=$root/.work/$folder 0 0"
done >.fstab
cat >>.fstab <<END
proc $root/proc proc nosuid,nodev,noexec 0 0
sysfs $root/sys sysfs ro,nosuid,nodev,noexec 0 0
dev $root/dev tmpfs mode=755,size=64k 0 0
END
mount --all --fstab .fstab
mkdir dev/pts dev/shm
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
[ ! -d proc/driver ] || mount -t tmpfs -o mode=755,size=64k simulated proc/driver # where a simulated driver shows its version

rm -rf etc/ssh/ssh_host_* etc/ssh/sshd_config.d etc/pip.conf etc/conda usr/bin/nvidia-smi var/tmp var/log
mkdir -p var/log
mkdir -p -m 1777 var/tmp
cp -R "$seed/." .
chmod 600 etc/ssh/ssh_host_ed25519_key

mkdir .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
rm -rf /.fstab

read -r _
ip -batch - <<END
link set lo up
addr add $address dev eth0
link set eth0 up
END
[ ! -e /etc/lab-accounts ] || { sh -eu /etc/lab-accounts; rm /etc/lab-accounts; }
/usr/sbin/sshd -E /var/log/sshd.log
echo ready
exec 3<&0 # in the background stdin would be /dev/null
cat <&3 >/dev/null &
wait $! # reaps all orphans of the host meanwhile
